"""A process that serves: it runs until a signal, reports to systemd, and ends even if its shutdown hangs."""
