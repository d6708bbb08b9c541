package ai.sonichaos.testing.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Skips time and scripts faults. Only the fake services of `sonichaos fake` serve it, both at their own address with the same
 * effect. It needs no credential. Times and durations are those of the fake's clock: see `--speed` and `--manual-clock`.
 * </pre>
 */
@javax.annotation.Generated(
    value = "by gRPC proto compiler",
    comments = "Source: sonichaos/testing/v1/fake.proto")
@io.grpc.stub.annotations.GrpcGenerated
public final class FakeControlServiceGrpc {

  private FakeControlServiceGrpc() {}

  public static final String SERVICE_NAME = "sonichaos.testing.v1.FakeControlService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.testing.v1.SkipTimeRequest,
      ai.sonichaos.testing.v1.SkipTimeResponse> getSkipTimeMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "SkipTime",
      requestType = ai.sonichaos.testing.v1.SkipTimeRequest.class,
      responseType = ai.sonichaos.testing.v1.SkipTimeResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.testing.v1.SkipTimeRequest,
      ai.sonichaos.testing.v1.SkipTimeResponse> getSkipTimeMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.testing.v1.SkipTimeRequest, ai.sonichaos.testing.v1.SkipTimeResponse> getSkipTimeMethod;
    if ((getSkipTimeMethod = FakeControlServiceGrpc.getSkipTimeMethod) == null) {
      synchronized (FakeControlServiceGrpc.class) {
        if ((getSkipTimeMethod = FakeControlServiceGrpc.getSkipTimeMethod) == null) {
          FakeControlServiceGrpc.getSkipTimeMethod = getSkipTimeMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.testing.v1.SkipTimeRequest, ai.sonichaos.testing.v1.SkipTimeResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "SkipTime"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.testing.v1.SkipTimeRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.testing.v1.SkipTimeResponse.getDefaultInstance()))
              .setSchemaDescriptor(new FakeControlServiceMethodDescriptorSupplier("SkipTime"))
              .build();
        }
      }
    }
    return getSkipTimeMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.testing.v1.AddFaultRequest,
      ai.sonichaos.testing.v1.AddFaultResponse> getAddFaultMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "AddFault",
      requestType = ai.sonichaos.testing.v1.AddFaultRequest.class,
      responseType = ai.sonichaos.testing.v1.AddFaultResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.testing.v1.AddFaultRequest,
      ai.sonichaos.testing.v1.AddFaultResponse> getAddFaultMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.testing.v1.AddFaultRequest, ai.sonichaos.testing.v1.AddFaultResponse> getAddFaultMethod;
    if ((getAddFaultMethod = FakeControlServiceGrpc.getAddFaultMethod) == null) {
      synchronized (FakeControlServiceGrpc.class) {
        if ((getAddFaultMethod = FakeControlServiceGrpc.getAddFaultMethod) == null) {
          FakeControlServiceGrpc.getAddFaultMethod = getAddFaultMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.testing.v1.AddFaultRequest, ai.sonichaos.testing.v1.AddFaultResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "AddFault"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.testing.v1.AddFaultRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.testing.v1.AddFaultResponse.getDefaultInstance()))
              .setSchemaDescriptor(new FakeControlServiceMethodDescriptorSupplier("AddFault"))
              .build();
        }
      }
    }
    return getAddFaultMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.testing.v1.ClearFaultsRequest,
      ai.sonichaos.testing.v1.ClearFaultsResponse> getClearFaultsMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ClearFaults",
      requestType = ai.sonichaos.testing.v1.ClearFaultsRequest.class,
      responseType = ai.sonichaos.testing.v1.ClearFaultsResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.testing.v1.ClearFaultsRequest,
      ai.sonichaos.testing.v1.ClearFaultsResponse> getClearFaultsMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.testing.v1.ClearFaultsRequest, ai.sonichaos.testing.v1.ClearFaultsResponse> getClearFaultsMethod;
    if ((getClearFaultsMethod = FakeControlServiceGrpc.getClearFaultsMethod) == null) {
      synchronized (FakeControlServiceGrpc.class) {
        if ((getClearFaultsMethod = FakeControlServiceGrpc.getClearFaultsMethod) == null) {
          FakeControlServiceGrpc.getClearFaultsMethod = getClearFaultsMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.testing.v1.ClearFaultsRequest, ai.sonichaos.testing.v1.ClearFaultsResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ClearFaults"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.testing.v1.ClearFaultsRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.testing.v1.ClearFaultsResponse.getDefaultInstance()))
              .setSchemaDescriptor(new FakeControlServiceMethodDescriptorSupplier("ClearFaults"))
              .build();
        }
      }
    }
    return getClearFaultsMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.testing.v1.ResetRequest,
      ai.sonichaos.testing.v1.ResetResponse> getResetMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Reset",
      requestType = ai.sonichaos.testing.v1.ResetRequest.class,
      responseType = ai.sonichaos.testing.v1.ResetResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.testing.v1.ResetRequest,
      ai.sonichaos.testing.v1.ResetResponse> getResetMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.testing.v1.ResetRequest, ai.sonichaos.testing.v1.ResetResponse> getResetMethod;
    if ((getResetMethod = FakeControlServiceGrpc.getResetMethod) == null) {
      synchronized (FakeControlServiceGrpc.class) {
        if ((getResetMethod = FakeControlServiceGrpc.getResetMethod) == null) {
          FakeControlServiceGrpc.getResetMethod = getResetMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.testing.v1.ResetRequest, ai.sonichaos.testing.v1.ResetResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Reset"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.testing.v1.ResetRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.testing.v1.ResetResponse.getDefaultInstance()))
              .setSchemaDescriptor(new FakeControlServiceMethodDescriptorSupplier("Reset"))
              .build();
        }
      }
    }
    return getResetMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static FakeControlServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<FakeControlServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<FakeControlServiceStub>() {
        @java.lang.Override
        public FakeControlServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new FakeControlServiceStub(channel, callOptions);
        }
      };
    return FakeControlServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static FakeControlServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<FakeControlServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<FakeControlServiceBlockingStub>() {
        @java.lang.Override
        public FakeControlServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new FakeControlServiceBlockingStub(channel, callOptions);
        }
      };
    return FakeControlServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static FakeControlServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<FakeControlServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<FakeControlServiceFutureStub>() {
        @java.lang.Override
        public FakeControlServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new FakeControlServiceFutureStub(channel, callOptions);
        }
      };
    return FakeControlServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Skips time and scripts faults. Only the fake services of `sonichaos fake` serve it, both at their own address with the same
   * effect. It needs no credential. Times and durations are those of the fake's clock: see `--speed` and `--manual-clock`.
   * </pre>
   */
  public static abstract class FakeControlServiceImplBase implements io.grpc.BindableService {

    /**
     * <pre>
     * Advances the clock. All that becomes due by then has happened when the call returns: stages, ends of jobs, expiries, ends of
     * stalls and crashes.
     * </pre>
     */
    public void skipTime(ai.sonichaos.testing.v1.SkipTimeRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.testing.v1.SkipTimeResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getSkipTimeMethod(), responseObserver);
    }

    /**
     * <pre>
     * Adds a fault. Of several faults of one kind that match, the one that was added first occurs.
     * </pre>
     */
    public void addFault(ai.sonichaos.testing.v1.AddFaultRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.testing.v1.AddFaultResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getAddFaultMethod(), responseObserver);
    }

    /**
     * <pre>
     * Removes all faults. What they stalled goes on, a service that is down recovers.
     * </pre>
     */
    public void clearFaults(ai.sonichaos.testing.v1.ClearFaultsRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.testing.v1.ClearFaultsResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getClearFaultsMethod(), responseObserver);
    }

    /**
     * <pre>
     * Removes all faults, jobs, files and created personas. Open streams end with UNAVAILABLE. The clock goes on.
     * </pre>
     */
    public void reset(ai.sonichaos.testing.v1.ResetRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.testing.v1.ResetResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getResetMethod(), responseObserver);
    }

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
          .addMethod(
            getSkipTimeMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.testing.v1.SkipTimeRequest,
                ai.sonichaos.testing.v1.SkipTimeResponse>(
                  this, METHODID_SKIP_TIME)))
          .addMethod(
            getAddFaultMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.testing.v1.AddFaultRequest,
                ai.sonichaos.testing.v1.AddFaultResponse>(
                  this, METHODID_ADD_FAULT)))
          .addMethod(
            getClearFaultsMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.testing.v1.ClearFaultsRequest,
                ai.sonichaos.testing.v1.ClearFaultsResponse>(
                  this, METHODID_CLEAR_FAULTS)))
          .addMethod(
            getResetMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.testing.v1.ResetRequest,
                ai.sonichaos.testing.v1.ResetResponse>(
                  this, METHODID_RESET)))
          .build();
    }
  }

  /**
   * <pre>
   * Skips time and scripts faults. Only the fake services of `sonichaos fake` serve it, both at their own address with the same
   * effect. It needs no credential. Times and durations are those of the fake's clock: see `--speed` and `--manual-clock`.
   * </pre>
   */
  public static final class FakeControlServiceStub extends io.grpc.stub.AbstractAsyncStub<FakeControlServiceStub> {
    private FakeControlServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected FakeControlServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new FakeControlServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Advances the clock. All that becomes due by then has happened when the call returns: stages, ends of jobs, expiries, ends of
     * stalls and crashes.
     * </pre>
     */
    public void skipTime(ai.sonichaos.testing.v1.SkipTimeRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.testing.v1.SkipTimeResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getSkipTimeMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Adds a fault. Of several faults of one kind that match, the one that was added first occurs.
     * </pre>
     */
    public void addFault(ai.sonichaos.testing.v1.AddFaultRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.testing.v1.AddFaultResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getAddFaultMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Removes all faults. What they stalled goes on, a service that is down recovers.
     * </pre>
     */
    public void clearFaults(ai.sonichaos.testing.v1.ClearFaultsRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.testing.v1.ClearFaultsResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getClearFaultsMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Removes all faults, jobs, files and created personas. Open streams end with UNAVAILABLE. The clock goes on.
     * </pre>
     */
    public void reset(ai.sonichaos.testing.v1.ResetRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.testing.v1.ResetResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getResetMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * <pre>
   * Skips time and scripts faults. Only the fake services of `sonichaos fake` serve it, both at their own address with the same
   * effect. It needs no credential. Times and durations are those of the fake's clock: see `--speed` and `--manual-clock`.
   * </pre>
   */
  public static final class FakeControlServiceBlockingStub extends io.grpc.stub.AbstractBlockingStub<FakeControlServiceBlockingStub> {
    private FakeControlServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected FakeControlServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new FakeControlServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Advances the clock. All that becomes due by then has happened when the call returns: stages, ends of jobs, expiries, ends of
     * stalls and crashes.
     * </pre>
     */
    public ai.sonichaos.testing.v1.SkipTimeResponse skipTime(ai.sonichaos.testing.v1.SkipTimeRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getSkipTimeMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Adds a fault. Of several faults of one kind that match, the one that was added first occurs.
     * </pre>
     */
    public ai.sonichaos.testing.v1.AddFaultResponse addFault(ai.sonichaos.testing.v1.AddFaultRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getAddFaultMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Removes all faults. What they stalled goes on, a service that is down recovers.
     * </pre>
     */
    public ai.sonichaos.testing.v1.ClearFaultsResponse clearFaults(ai.sonichaos.testing.v1.ClearFaultsRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getClearFaultsMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Removes all faults, jobs, files and created personas. Open streams end with UNAVAILABLE. The clock goes on.
     * </pre>
     */
    public ai.sonichaos.testing.v1.ResetResponse reset(ai.sonichaos.testing.v1.ResetRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getResetMethod(), getCallOptions(), request);
    }
  }

  /**
   * <pre>
   * Skips time and scripts faults. Only the fake services of `sonichaos fake` serve it, both at their own address with the same
   * effect. It needs no credential. Times and durations are those of the fake's clock: see `--speed` and `--manual-clock`.
   * </pre>
   */
  public static final class FakeControlServiceFutureStub extends io.grpc.stub.AbstractFutureStub<FakeControlServiceFutureStub> {
    private FakeControlServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected FakeControlServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new FakeControlServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Advances the clock. All that becomes due by then has happened when the call returns: stages, ends of jobs, expiries, ends of
     * stalls and crashes.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.testing.v1.SkipTimeResponse> skipTime(
        ai.sonichaos.testing.v1.SkipTimeRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getSkipTimeMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Adds a fault. Of several faults of one kind that match, the one that was added first occurs.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.testing.v1.AddFaultResponse> addFault(
        ai.sonichaos.testing.v1.AddFaultRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getAddFaultMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Removes all faults. What they stalled goes on, a service that is down recovers.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.testing.v1.ClearFaultsResponse> clearFaults(
        ai.sonichaos.testing.v1.ClearFaultsRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getClearFaultsMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Removes all faults, jobs, files and created personas. Open streams end with UNAVAILABLE. The clock goes on.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.testing.v1.ResetResponse> reset(
        ai.sonichaos.testing.v1.ResetRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getResetMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_SKIP_TIME = 0;
  private static final int METHODID_ADD_FAULT = 1;
  private static final int METHODID_CLEAR_FAULTS = 2;
  private static final int METHODID_RESET = 3;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final FakeControlServiceImplBase serviceImpl;
    private final int methodId;

    MethodHandlers(FakeControlServiceImplBase serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_SKIP_TIME:
          serviceImpl.skipTime((ai.sonichaos.testing.v1.SkipTimeRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.testing.v1.SkipTimeResponse>) responseObserver);
          break;
        case METHODID_ADD_FAULT:
          serviceImpl.addFault((ai.sonichaos.testing.v1.AddFaultRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.testing.v1.AddFaultResponse>) responseObserver);
          break;
        case METHODID_CLEAR_FAULTS:
          serviceImpl.clearFaults((ai.sonichaos.testing.v1.ClearFaultsRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.testing.v1.ClearFaultsResponse>) responseObserver);
          break;
        case METHODID_RESET:
          serviceImpl.reset((ai.sonichaos.testing.v1.ResetRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.testing.v1.ResetResponse>) responseObserver);
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

  private static abstract class FakeControlServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    FakeControlServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return ai.sonichaos.testing.v1.Fake.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("FakeControlService");
    }
  }

  private static final class FakeControlServiceFileDescriptorSupplier
      extends FakeControlServiceBaseDescriptorSupplier {
    FakeControlServiceFileDescriptorSupplier() {}
  }

  private static final class FakeControlServiceMethodDescriptorSupplier
      extends FakeControlServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final String methodName;

    FakeControlServiceMethodDescriptorSupplier(String methodName) {
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
      synchronized (FakeControlServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new FakeControlServiceFileDescriptorSupplier())
              .addMethod(getSkipTimeMethod())
              .addMethod(getAddFaultMethod())
              .addMethod(getClearFaultsMethod())
              .addMethod(getResetMethod())
              .build();
        }
      }
    }
    return result;
  }
}
