"""Money: accounts, entries, holds, withdrawals."""
