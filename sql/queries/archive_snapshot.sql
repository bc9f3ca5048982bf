-- All of this transaction sees the database as it is at its first statement.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ
