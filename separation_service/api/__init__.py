"""The gRPC surface of separation_service: servicers, and the translation between protobuf and its own values."""
