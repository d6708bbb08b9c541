package ai.sonichaos.operations.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * What an operator does to a running service. render_service and separation_service both serve it. Every call needs the scope
 * `operate`; what reaches beyond the caller's tenant also needs a credential of the tenant `local`.
 * </pre>
 */
@javax.annotation.Generated(
    value = "by gRPC proto compiler",
    comments = "Source: sonichaos/operations/v1/operations.proto")
@io.grpc.stub.annotations.GrpcGenerated
public final class OperationsServiceGrpc {

  private OperationsServiceGrpc() {}

  public static final String SERVICE_NAME = "sonichaos.operations.v1.OperationsService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.operations.v1.EraseTenantRequest,
      ai.sonichaos.operations.v1.EraseTenantResponse> getEraseTenantMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "EraseTenant",
      requestType = ai.sonichaos.operations.v1.EraseTenantRequest.class,
      responseType = ai.sonichaos.operations.v1.EraseTenantResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.operations.v1.EraseTenantRequest,
      ai.sonichaos.operations.v1.EraseTenantResponse> getEraseTenantMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.operations.v1.EraseTenantRequest, ai.sonichaos.operations.v1.EraseTenantResponse> getEraseTenantMethod;
    if ((getEraseTenantMethod = OperationsServiceGrpc.getEraseTenantMethod) == null) {
      synchronized (OperationsServiceGrpc.class) {
        if ((getEraseTenantMethod = OperationsServiceGrpc.getEraseTenantMethod) == null) {
          OperationsServiceGrpc.getEraseTenantMethod = getEraseTenantMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.operations.v1.EraseTenantRequest, ai.sonichaos.operations.v1.EraseTenantResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "EraseTenant"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.operations.v1.EraseTenantRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.operations.v1.EraseTenantResponse.getDefaultInstance()))
              .setSchemaDescriptor(new OperationsServiceMethodDescriptorSupplier("EraseTenant"))
              .build();
        }
      }
    }
    return getEraseTenantMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.operations.v1.DrainRequest,
      ai.sonichaos.operations.v1.DrainResponse> getDrainMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Drain",
      requestType = ai.sonichaos.operations.v1.DrainRequest.class,
      responseType = ai.sonichaos.operations.v1.DrainResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.operations.v1.DrainRequest,
      ai.sonichaos.operations.v1.DrainResponse> getDrainMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.operations.v1.DrainRequest, ai.sonichaos.operations.v1.DrainResponse> getDrainMethod;
    if ((getDrainMethod = OperationsServiceGrpc.getDrainMethod) == null) {
      synchronized (OperationsServiceGrpc.class) {
        if ((getDrainMethod = OperationsServiceGrpc.getDrainMethod) == null) {
          OperationsServiceGrpc.getDrainMethod = getDrainMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.operations.v1.DrainRequest, ai.sonichaos.operations.v1.DrainResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Drain"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.operations.v1.DrainRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.operations.v1.DrainResponse.getDefaultInstance()))
              .setSchemaDescriptor(new OperationsServiceMethodDescriptorSupplier("Drain"))
              .build();
        }
      }
    }
    return getDrainMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static OperationsServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<OperationsServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<OperationsServiceStub>() {
        @java.lang.Override
        public OperationsServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new OperationsServiceStub(channel, callOptions);
        }
      };
    return OperationsServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static OperationsServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<OperationsServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<OperationsServiceBlockingStub>() {
        @java.lang.Override
        public OperationsServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new OperationsServiceBlockingStub(channel, callOptions);
        }
      };
    return OperationsServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static OperationsServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<OperationsServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<OperationsServiceFutureStub>() {
        @java.lang.Override
        public OperationsServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new OperationsServiceFutureStub(channel, callOptions);
        }
      };
    return OperationsServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * What an operator does to a running service. render_service and separation_service both serve it. Every call needs the scope
   * `operate`; what reaches beyond the caller's tenant also needs a credential of the tenant `local`.
   * </pre>
   */
  public static abstract class OperationsServiceImplBase implements io.grpc.BindableService {

    /**
     * <pre>
     * Erases a tenant's data that this service holds: its jobs with their files and events, the texts beside its audit rows, personas,
     * uploads, names of API keys, usage. Call it on both services. Its API keys are revoked first, its running versions cancelled. The
     * erasure is recorded before anything is erased, so the service finishes it by itself, also after a crash. Can be repeated: then it
     * goes on, or erases what was added since.
     * </pre>
     */
    public void eraseTenant(ai.sonichaos.operations.v1.EraseTenantRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.operations.v1.EraseTenantResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getEraseTenantMethod(), responseObserver);
    }

    /**
     * <pre>
     * Stops the service as SIGTERM does: it takes no more work, running work may finish within the time limit, then the process ends.
     * </pre>
     */
    public void drain(ai.sonichaos.operations.v1.DrainRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.operations.v1.DrainResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getDrainMethod(), responseObserver);
    }

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
          .addMethod(
            getEraseTenantMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.operations.v1.EraseTenantRequest,
                ai.sonichaos.operations.v1.EraseTenantResponse>(
                  this, METHODID_ERASE_TENANT)))
          .addMethod(
            getDrainMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.operations.v1.DrainRequest,
                ai.sonichaos.operations.v1.DrainResponse>(
                  this, METHODID_DRAIN)))
          .build();
    }
  }

  /**
   * <pre>
   * What an operator does to a running service. render_service and separation_service both serve it. Every call needs the scope
   * `operate`; what reaches beyond the caller's tenant also needs a credential of the tenant `local`.
   * </pre>
   */
  public static final class OperationsServiceStub extends io.grpc.stub.AbstractAsyncStub<OperationsServiceStub> {
    private OperationsServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected OperationsServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new OperationsServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Erases a tenant's data that this service holds: its jobs with their files and events, the texts beside its audit rows, personas,
     * uploads, names of API keys, usage. Call it on both services. Its API keys are revoked first, its running versions cancelled. The
     * erasure is recorded before anything is erased, so the service finishes it by itself, also after a crash. Can be repeated: then it
     * goes on, or erases what was added since.
     * </pre>
     */
    public void eraseTenant(ai.sonichaos.operations.v1.EraseTenantRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.operations.v1.EraseTenantResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getEraseTenantMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Stops the service as SIGTERM does: it takes no more work, running work may finish within the time limit, then the process ends.
     * </pre>
     */
    public void drain(ai.sonichaos.operations.v1.DrainRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.operations.v1.DrainResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getDrainMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * <pre>
   * What an operator does to a running service. render_service and separation_service both serve it. Every call needs the scope
   * `operate`; what reaches beyond the caller's tenant also needs a credential of the tenant `local`.
   * </pre>
   */
  public static final class OperationsServiceBlockingStub extends io.grpc.stub.AbstractBlockingStub<OperationsServiceBlockingStub> {
    private OperationsServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected OperationsServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new OperationsServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Erases a tenant's data that this service holds: its jobs with their files and events, the texts beside its audit rows, personas,
     * uploads, names of API keys, usage. Call it on both services. Its API keys are revoked first, its running versions cancelled. The
     * erasure is recorded before anything is erased, so the service finishes it by itself, also after a crash. Can be repeated: then it
     * goes on, or erases what was added since.
     * </pre>
     */
    public ai.sonichaos.operations.v1.EraseTenantResponse eraseTenant(ai.sonichaos.operations.v1.EraseTenantRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getEraseTenantMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Stops the service as SIGTERM does: it takes no more work, running work may finish within the time limit, then the process ends.
     * </pre>
     */
    public ai.sonichaos.operations.v1.DrainResponse drain(ai.sonichaos.operations.v1.DrainRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getDrainMethod(), getCallOptions(), request);
    }
  }

  /**
   * <pre>
   * What an operator does to a running service. render_service and separation_service both serve it. Every call needs the scope
   * `operate`; what reaches beyond the caller's tenant also needs a credential of the tenant `local`.
   * </pre>
   */
  public static final class OperationsServiceFutureStub extends io.grpc.stub.AbstractFutureStub<OperationsServiceFutureStub> {
    private OperationsServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected OperationsServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new OperationsServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Erases a tenant's data that this service holds: its jobs with their files and events, the texts beside its audit rows, personas,
     * uploads, names of API keys, usage. Call it on both services. Its API keys are revoked first, its running versions cancelled. The
     * erasure is recorded before anything is erased, so the service finishes it by itself, also after a crash. Can be repeated: then it
     * goes on, or erases what was added since.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.operations.v1.EraseTenantResponse> eraseTenant(
        ai.sonichaos.operations.v1.EraseTenantRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getEraseTenantMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Stops the service as SIGTERM does: it takes no more work, running work may finish within the time limit, then the process ends.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.operations.v1.DrainResponse> drain(
        ai.sonichaos.operations.v1.DrainRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getDrainMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_ERASE_TENANT = 0;
  private static final int METHODID_DRAIN = 1;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final OperationsServiceImplBase serviceImpl;
    private final int methodId;

    MethodHandlers(OperationsServiceImplBase serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_ERASE_TENANT:
          serviceImpl.eraseTenant((ai.sonichaos.operations.v1.EraseTenantRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.operations.v1.EraseTenantResponse>) responseObserver);
          break;
        case METHODID_DRAIN:
          serviceImpl.drain((ai.sonichaos.operations.v1.DrainRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.operations.v1.DrainResponse>) responseObserver);
          break;
        default:
          throw new AssertionError();
      }
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public io.grpc.stub.StreamObserver<Req> invoke(
        io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        default:
          throw new AssertionError();
      }
    }
  }

  private static abstract class OperationsServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    OperationsServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return ai.sonichaos.operations.v1.Operations.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("OperationsService");
    }
  }

  private static final class OperationsServiceFileDescriptorSupplier
      extends OperationsServiceBaseDescriptorSupplier {
    OperationsServiceFileDescriptorSupplier() {}
  }

  private static final class OperationsServiceMethodDescriptorSupplier
      extends OperationsServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final String methodName;

    OperationsServiceMethodDescriptorSupplier(String methodName) {
      this.methodName = methodName;
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.MethodDescriptor getMethodDescriptor() {
      return getServiceDescriptor().findMethodByName(methodName);
    }
  }

  private static volatile io.grpc.ServiceDescriptor serviceDescriptor;

  public static io.grpc.ServiceDescriptor getServiceDescriptor() {
    io.grpc.ServiceDescriptor result = serviceDescriptor;
    if (result == null) {
      synchronized (OperationsServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new OperationsServiceFileDescriptorSupplier())
              .addMethod(getEraseTenantMethod())
              .addMethod(getDrainMethod())
              .build();
        }
      }
    }
    return result;
  }
}
