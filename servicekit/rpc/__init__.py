"""What every gRPC server of this house has: assembly, health, reflection, one error table, interceptors."""
