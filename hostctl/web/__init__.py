"""What ``sonichaos up --web`` serves: the page, gRPC-Web for both services, and how far the services are."""
