CREATE TABLE orders (order_id INTEGER, shop TEXT, customer TEXT, amount TEXT, changed_at TEXT);
INSERT INTO orders VALUES
    (1001, 'berlin', 'Ada',    '19.90', '2026-01-05 08:00:00'),
    (1002, 'berlin', 'Grace',  '5.00',  '2026-01-05 09:30:00'),
    (1003, 'paris',  'Edsger', '7.50',  '2026-01-05 10:00:00'),
    (1002, 'berlin', 'Grace',  '6.00',  '2026-01-06 11:00:00');
