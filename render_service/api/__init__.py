"""The gRPC surface of render_service: servicers, and the translation between protobuf and its own values."""
