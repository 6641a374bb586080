#!/bin/sh
# Takes out of an image's packages what no step of Haulier imports, and symbols: half of the bytes.
# What is missing shows at once: tests/images hauls through every image.
set -eu
cd "$1"/lib/python3.*/site-packages
rm -rf pyarrow/tests pyarrow/include pyarrow/includes pyarrow/src pyarrow/*.pyx pyarrow/*.pxi pyarrow/*.pxd \
  pandas/tests numpy/*/tests numpy/tests sqlalchemy/testing sqlalchemy/ext
# Other databases than PostgreSQL are sources: where extract's driver is, their dialects stay.
[ -d pymysql ] || rm -rf \
  sqlalchemy/dialects/mssql sqlalchemy/dialects/mysql sqlalchemy/dialects/oracle sqlalchemy/dialects/sqlite
for part in flight substrait s3 dataset acero orc hdfs gcsfs azurefs feather cpp_tests parquet_encryption _json; do
  rm -f pyarrow/*"$part"*
done
# Beside each library lie the two links that a linker would want, as copies.
rm -f pyarrow/lib*.so.*.*.* pyarrow/libarrow_python.so
# Arrow's modules name three of these libraries as needed though they use nothing of them.
for module in pyarrow/*.so pyarrow/lib*.so.*; do
  for library in $(patchelf --print-needed "$module" | grep -E 'arrow_(substrait|dataset|acero)[.]' || true); do
    patchelf --remove-needed "$library" "$module"
  done
done
for package in pyarrow obstore pandas numpy sqlalchemy yaml; do
  [ ! -d "$package" ] || find "$package" -name '*.so*' -type f -exec strip --strip-unneeded {} +
done
