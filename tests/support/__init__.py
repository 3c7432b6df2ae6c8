"""What tests of several folders share: clients, servers, processes, views and logs."""
