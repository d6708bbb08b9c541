package ai.sonichaos.handoff.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Lends audio over gRPC, for services that do not share a host.
 * </pre>
 */
@javax.annotation.Generated(
    value = "by gRPC proto compiler",
    comments = "Source: sonichaos/handoff/v1/handoff.proto")
@io.grpc.stub.annotations.GrpcGenerated
public final class HandoffServiceGrpc {

  private HandoffServiceGrpc() {}

  public static final String SERVICE_NAME = "sonichaos.handoff.v1.HandoffService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.handoff.v1.SendTensorRequest,
      ai.sonichaos.handoff.v1.SendTensorResponse> getSendTensorMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "SendTensor",
      requestType = ai.sonichaos.handoff.v1.SendTensorRequest.class,
      responseType = ai.sonichaos.handoff.v1.SendTensorResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.CLIENT_STREAMING)
  public static io.grpc.MethodDescriptor<ai.sonichaos.handoff.v1.SendTensorRequest,
      ai.sonichaos.handoff.v1.SendTensorResponse> getSendTensorMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.handoff.v1.SendTensorRequest, ai.sonichaos.handoff.v1.SendTensorResponse> getSendTensorMethod;
    if ((getSendTensorMethod = HandoffServiceGrpc.getSendTensorMethod) == null) {
      synchronized (HandoffServiceGrpc.class) {
        if ((getSendTensorMethod = HandoffServiceGrpc.getSendTensorMethod) == null) {
          HandoffServiceGrpc.getSendTensorMethod = getSendTensorMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.handoff.v1.SendTensorRequest, ai.sonichaos.handoff.v1.SendTensorResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.CLIENT_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "SendTensor"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.handoff.v1.SendTensorRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.handoff.v1.SendTensorResponse.getDefaultInstance()))
              .setSchemaDescriptor(new HandoffServiceMethodDescriptorSupplier("SendTensor"))
              .build();
        }
      }
    }
    return getSendTensorMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.handoff.v1.WithdrawTensorRequest,
      ai.sonichaos.handoff.v1.WithdrawTensorResponse> getWithdrawTensorMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "WithdrawTensor",
      requestType = ai.sonichaos.handoff.v1.WithdrawTensorRequest.class,
      responseType = ai.sonichaos.handoff.v1.WithdrawTensorResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.handoff.v1.WithdrawTensorRequest,
      ai.sonichaos.handoff.v1.WithdrawTensorResponse> getWithdrawTensorMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.handoff.v1.WithdrawTensorRequest, ai.sonichaos.handoff.v1.WithdrawTensorResponse> getWithdrawTensorMethod;
    if ((getWithdrawTensorMethod = HandoffServiceGrpc.getWithdrawTensorMethod) == null) {
      synchronized (HandoffServiceGrpc.class) {
        if ((getWithdrawTensorMethod = HandoffServiceGrpc.getWithdrawTensorMethod) == null) {
          HandoffServiceGrpc.getWithdrawTensorMethod = getWithdrawTensorMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.handoff.v1.WithdrawTensorRequest, ai.sonichaos.handoff.v1.WithdrawTensorResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "WithdrawTensor"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.handoff.v1.WithdrawTensorRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.handoff.v1.WithdrawTensorResponse.getDefaultInstance()))
              .setSchemaDescriptor(new HandoffServiceMethodDescriptorSupplier("WithdrawTensor"))
              .build();
        }
      }
    }
    return getWithdrawTensorMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static HandoffServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<HandoffServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<HandoffServiceStub>() {
        @java.lang.Override
        public HandoffServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new HandoffServiceStub(channel, callOptions);
        }
      };
    return HandoffServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static HandoffServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<HandoffServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<HandoffServiceBlockingStub>() {
        @java.lang.Override
        public HandoffServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new HandoffServiceBlockingStub(channel, callOptions);
        }
      };
    return HandoffServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static HandoffServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<HandoffServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<HandoffServiceFutureStub>() {
        @java.lang.Override
        public HandoffServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new HandoffServiceFutureStub(channel, callOptions);
        }
      };
    return HandoffServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Lends audio over gRPC, for services that do not share a host.
   * </pre>
   */
  public static abstract class HandoffServiceImplBase implements io.grpc.BindableService {

    /**
     * <pre>
     * Sends a tensor in chunks. The borrower keeps it until it is separated or the lease expires.
     * </pre>
     */
    public io.grpc.stub.StreamObserver<ai.sonichaos.handoff.v1.SendTensorRequest> sendTensor(
        io.grpc.stub.StreamObserver<ai.sonichaos.handoff.v1.SendTensorResponse> responseObserver) {
      return io.grpc.stub.ServerCalls.asyncUnimplementedStreamingCall(getSendTensorMethod(), responseObserver);
    }

    /**
     * <pre>
     * Frees a tensor that no call uses. Does nothing for one that a call uses, or for an unknown lease id.
     * </pre>
     */
    public void withdrawTensor(ai.sonichaos.handoff.v1.WithdrawTensorRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.handoff.v1.WithdrawTensorResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getWithdrawTensorMethod(), responseObserver);
    }

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
          .addMethod(
            getSendTensorMethod(),
            io.grpc.stub.ServerCalls.asyncClientStreamingCall(
              new MethodHandlers<
                ai.sonichaos.handoff.v1.SendTensorRequest,
                ai.sonichaos.handoff.v1.SendTensorResponse>(
                  this, METHODID_SEND_TENSOR)))
          .addMethod(
            getWithdrawTensorMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.handoff.v1.WithdrawTensorRequest,
                ai.sonichaos.handoff.v1.WithdrawTensorResponse>(
                  this, METHODID_WITHDRAW_TENSOR)))
          .build();
    }
  }

  /**
   * <pre>
   * Lends audio over gRPC, for services that do not share a host.
   * </pre>
   */
  public static final class HandoffServiceStub extends io.grpc.stub.AbstractAsyncStub<HandoffServiceStub> {
    private HandoffServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected HandoffServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new HandoffServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Sends a tensor in chunks. The borrower keeps it until it is separated or the lease expires.
     * </pre>
     */
    public io.grpc.stub.StreamObserver<ai.sonichaos.handoff.v1.SendTensorRequest> sendTensor(
        io.grpc.stub.StreamObserver<ai.sonichaos.handoff.v1.SendTensorResponse> responseObserver) {
      return io.grpc.stub.ClientCalls.asyncClientStreamingCall(
          getChannel().newCall(getSendTensorMethod(), getCallOptions()), responseObserver);
    }

    /**
     * <pre>
     * Frees a tensor that no call uses. Does nothing for one that a call uses, or for an unknown lease id.
     * </pre>
     */
    public void withdrawTensor(ai.sonichaos.handoff.v1.WithdrawTensorRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.handoff.v1.WithdrawTensorResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getWithdrawTensorMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * <pre>
   * Lends audio over gRPC, for services that do not share a host.
   * </pre>
   */
  public static final class HandoffServiceBlockingStub extends io.grpc.stub.AbstractBlockingStub<HandoffServiceBlockingStub> {
    private HandoffServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected HandoffServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new HandoffServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Frees a tensor that no call uses. Does nothing for one that a call uses, or for an unknown lease id.
     * </pre>
     */
    public ai.sonichaos.handoff.v1.WithdrawTensorResponse withdrawTensor(ai.sonichaos.handoff.v1.WithdrawTensorRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getWithdrawTensorMethod(), getCallOptions(), request);
    }
  }

  /**
   * <pre>
   * Lends audio over gRPC, for services that do not share a host.
   * </pre>
   */
  public static final class HandoffServiceFutureStub extends io.grpc.stub.AbstractFutureStub<HandoffServiceFutureStub> {
    private HandoffServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected HandoffServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new HandoffServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Frees a tensor that no call uses. Does nothing for one that a call uses, or for an unknown lease id.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.handoff.v1.WithdrawTensorResponse> withdrawTensor(
        ai.sonichaos.handoff.v1.WithdrawTensorRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getWithdrawTensorMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_WITHDRAW_TENSOR = 0;
  private static final int METHODID_SEND_TENSOR = 1;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final HandoffServiceImplBase serviceImpl;
    private final int methodId;

    MethodHandlers(HandoffServiceImplBase serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_WITHDRAW_TENSOR:
          serviceImpl.withdrawTensor((ai.sonichaos.handoff.v1.WithdrawTensorRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.handoff.v1.WithdrawTensorResponse>) responseObserver);
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
        case METHODID_SEND_TENSOR:
          return (io.grpc.stub.StreamObserver<Req>) serviceImpl.sendTensor(
              (io.grpc.stub.StreamObserver<ai.sonichaos.handoff.v1.SendTensorResponse>) responseObserver);
        default:
          throw new AssertionError();
      }
    }
  }

  private static abstract class HandoffServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    HandoffServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return ai.sonichaos.handoff.v1.Handoff.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("HandoffService");
    }
  }

  private static final class HandoffServiceFileDescriptorSupplier
      extends HandoffServiceBaseDescriptorSupplier {
    HandoffServiceFileDescriptorSupplier() {}
  }

  private static final class HandoffServiceMethodDescriptorSupplier
      extends HandoffServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final String methodName;

    HandoffServiceMethodDescriptorSupplier(String methodName) {
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
      synchronized (HandoffServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new HandoffServiceFileDescriptorSupplier())
              .addMethod(getSendTensorMethod())
              .addMethod(getWithdrawTensorMethod())
              .build();
        }
      }
    }
    return result;
  }
}
