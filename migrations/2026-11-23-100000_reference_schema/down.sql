-- Leaves everything: the tables may be the reference's own, with its data.
SELECT 1;
