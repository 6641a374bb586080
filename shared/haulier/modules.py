"""Users' own Python: modules of a folder, or of installed packages, and what they define."""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haulier.errors import DefinitionError, HaulierError
from haulier.problems import suggestion

#: `module.function`, as definitions name what is in such a folder.
FUNCTION = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What was asked for, in that order."""

    functions: tuple[Callable[..., Any], ...]
    #: SHA-256 over the source of the modules they are in, those of the folder that these import, and whole packages.
    digest: str


def load(names: Sequence[str], folder: Path, field: str) -> Loaded:
    """Import ``module.function`` from ``folder/module.py``, else from an installed package.

    Raises `DefinitionError`, beginning with ``field``, for one that is not there or whose module fails.
    """
    package = _private_package(folder)
    functions = tuple(_find(name, folder, package, f"{field}: {name!r}") for name in names)
    return Loaded(functions=functions, digest=_digest(names, package))


def place(function: Callable[..., Any], exc: BaseException) -> str:
    """The file and line of the user's code that was running, as `` (file, line 7)``; empty when it was not."""
    home = sys.modules.get(getattr(function, "__module__", ""))
    folder = str(Path(getattr(home, "__file__", None) or "/nowhere").parent)
    trace, found = exc.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if str(Path(file).parent) == folder:
            found = f" ({file}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return found


def _private_package(folder: Path) -> str:
    """A package of its own for the folder, so that its modules may import one another relatively."""
    name = f"_haulier_functions_{hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:12]}"
    for known in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
        del sys.modules[known]
    package = types.ModuleType(name)
    package.__path__ = [str(folder.absolute())]
    sys.modules[name] = package
    importlib.invalidate_caches()
    return name


def _find(name: str, folder: Path, package: str, where: str) -> Callable[..., Any]:
    module_name, _, function_name = name.rpartition(".")
    local = "." not in module_name and (folder / f"{module_name}.py").is_file()
    try:
        module = importlib.import_module(f"{package}.{module_name}" if local else module_name)
    except ModuleNotFoundError as exc:
        if not local and exc.name is not None and f"{module_name}.".startswith(f"{exc.name}."):
            modules = [path.stem for path in sorted(folder.glob("*.py"))]
            hint = suggestion(module_name, modules, "there are")
            raise DefinitionError(
                f"{where}: there is no {folder / module_name}.py and no installed module {module_name}{hint}"
            ) from exc
        raise DefinitionError(
            f"{where}: {module_name} needs the module {exc.name}, which is not installed"
        ) from exc
    except HaulierError:
        raise
    except Exception as exc:
        at = f", line {exc.lineno}" if isinstance(exc, SyntaxError) else ""
        problem = f"importing {module_name}{at} raised {type(exc).__name__}: {exc}"
        raise DefinitionError(f"{where}: {problem}") from exc
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        hint = suggestion(function_name, known)
        raise DefinitionError(f"{where}: {module_name} has no function {function_name}{hint}")
    return function  # type: ignore[no-any-return]  # whatever was imported


def _digest(names: Sequence[str], package: str) -> str:
    modules: dict[str, Any] = {key: sys.modules[key] for key in sys.modules if key.startswith(f"{package}.")}
    installed = {name.rpartition(".")[0] for name in names} & set(sys.modules)
    modules |= {key: sys.modules[key] for key in installed if f"{package}.{key}" not in modules}
    digest = hashlib.sha256()
    for key in sorted(modules):
        for name, path in _sources(key.removeprefix(f"{package}."), modules[key]):
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _sources(name: str, module: Any) -> Iterator[tuple[str, Path]]:
    """A module's own file; of a package, all its modules, since any of them may be what its function calls."""
    path = getattr(module, "__file__", None)
    if path is None:
        return
    if not hasattr(module, "__path__"):
        yield name, Path(path)
        return
    folder = Path(path).parent
    for file in sorted(folder.rglob("*.py")):
        yield f"{name}/{file.relative_to(folder).as_posix()}", file
