package ai.sonichaos.admission.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * The operator implements this service, and render_service and separation_service call it, if the setting SONICHAOS_ADMISSION_HOOK
 * names its address. No caller of theirs can reach it through them.
 * </pre>
 */
@javax.annotation.Generated(
    value = "by gRPC proto compiler",
    comments = "Source: sonichaos/admission/v1/admission.proto")
@io.grpc.stub.annotations.GrpcGenerated
public final class AdmissionServiceGrpc {

  private AdmissionServiceGrpc() {}

  public static final String SERVICE_NAME = "sonichaos.admission.v1.AdmissionService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.admission.v1.CheckAdmissionRequest,
      ai.sonichaos.admission.v1.CheckAdmissionResponse> getCheckAdmissionMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "CheckAdmission",
      requestType = ai.sonichaos.admission.v1.CheckAdmissionRequest.class,
      responseType = ai.sonichaos.admission.v1.CheckAdmissionResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.admission.v1.CheckAdmissionRequest,
      ai.sonichaos.admission.v1.CheckAdmissionResponse> getCheckAdmissionMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.admission.v1.CheckAdmissionRequest, ai.sonichaos.admission.v1.CheckAdmissionResponse> getCheckAdmissionMethod;
    if ((getCheckAdmissionMethod = AdmissionServiceGrpc.getCheckAdmissionMethod) == null) {
      synchronized (AdmissionServiceGrpc.class) {
        if ((getCheckAdmissionMethod = AdmissionServiceGrpc.getCheckAdmissionMethod) == null) {
          AdmissionServiceGrpc.getCheckAdmissionMethod = getCheckAdmissionMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.admission.v1.CheckAdmissionRequest, ai.sonichaos.admission.v1.CheckAdmissionResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "CheckAdmission"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.admission.v1.CheckAdmissionRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.admission.v1.CheckAdmissionResponse.getDefaultInstance()))
              .setSchemaDescriptor(new AdmissionServiceMethodDescriptorSupplier("CheckAdmission"))
              .build();
        }
      }
    }
    return getCheckAdmissionMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static AdmissionServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<AdmissionServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<AdmissionServiceStub>() {
        @java.lang.Override
        public AdmissionServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new AdmissionServiceStub(channel, callOptions);
        }
      };
    return AdmissionServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static AdmissionServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<AdmissionServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<AdmissionServiceBlockingStub>() {
        @java.lang.Override
        public AdmissionServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new AdmissionServiceBlockingStub(channel, callOptions);
        }
      };
    return AdmissionServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static AdmissionServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<AdmissionServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<AdmissionServiceFutureStub>() {
        @java.lang.Override
        public AdmissionServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new AdmissionServiceFutureStub(channel, callOptions);
        }
      };
    return AdmissionServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * The operator implements this service, and render_service and separation_service call it, if the setting SONICHAOS_ADMISSION_HOOK
   * names its address. No caller of theirs can reach it through them.
   * </pre>
   */
  public static abstract class AdmissionServiceImplBase implements io.grpc.BindableService {

    /**
     * <pre>
     * Accepts or refuses one call that creates work. Called after the call was checked and its brief resolved, before the work is
     * accepted. Not called again for a repeated request id whose job exists.
     * </pre>
     */
    public void checkAdmission(ai.sonichaos.admission.v1.CheckAdmissionRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.admission.v1.CheckAdmissionResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCheckAdmissionMethod(), responseObserver);
    }

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
          .addMethod(
            getCheckAdmissionMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.admission.v1.CheckAdmissionRequest,
                ai.sonichaos.admission.v1.CheckAdmissionResponse>(
                  this, METHODID_CHECK_ADMISSION)))
          .build();
    }
  }

  /**
   * <pre>
   * The operator implements this service, and render_service and separation_service call it, if the setting SONICHAOS_ADMISSION_HOOK
   * names its address. No caller of theirs can reach it through them.
   * </pre>
   */
  public static final class AdmissionServiceStub extends io.grpc.stub.AbstractAsyncStub<AdmissionServiceStub> {
    private AdmissionServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected AdmissionServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new AdmissionServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Accepts or refuses one call that creates work. Called after the call was checked and its brief resolved, before the work is
     * accepted. Not called again for a repeated request id whose job exists.
     * </pre>
     */
    public void checkAdmission(ai.sonichaos.admission.v1.CheckAdmissionRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.admission.v1.CheckAdmissionResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCheckAdmissionMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * <pre>
   * The operator implements this service, and render_service and separation_service call it, if the setting SONICHAOS_ADMISSION_HOOK
   * names its address. No caller of theirs can reach it through them.
   * </pre>
   */
  public static final class AdmissionServiceBlockingStub extends io.grpc.stub.AbstractBlockingStub<AdmissionServiceBlockingStub> {
    private AdmissionServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected AdmissionServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new AdmissionServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Accepts or refuses one call that creates work. Called after the call was checked and its brief resolved, before the work is
     * accepted. Not called again for a repeated request id whose job exists.
     * </pre>
     */
    public ai.sonichaos.admission.v1.CheckAdmissionResponse checkAdmission(ai.sonichaos.admission.v1.CheckAdmissionRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCheckAdmissionMethod(), getCallOptions(), request);
    }
  }

  /**
   * <pre>
   * The operator implements this service, and render_service and separation_service call it, if the setting SONICHAOS_ADMISSION_HOOK
   * names its address. No caller of theirs can reach it through them.
   * </pre>
   */
  public static final class AdmissionServiceFutureStub extends io.grpc.stub.AbstractFutureStub<AdmissionServiceFutureStub> {
    private AdmissionServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected AdmissionServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new AdmissionServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Accepts or refuses one call that creates work. Called after the call was checked and its brief resolved, before the work is
     * accepted. Not called again for a repeated request id whose job exists.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.admission.v1.CheckAdmissionResponse> checkAdmission(
        ai.sonichaos.admission.v1.CheckAdmissionRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCheckAdmissionMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_CHECK_ADMISSION = 0;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final AdmissionServiceImplBase serviceImpl;
    private final int methodId;

    MethodHandlers(AdmissionServiceImplBase serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_CHECK_ADMISSION:
          serviceImpl.checkAdmission((ai.sonichaos.admission.v1.CheckAdmissionRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.admission.v1.CheckAdmissionResponse>) responseObserver);
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

  private static abstract class AdmissionServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    AdmissionServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return ai.sonichaos.admission.v1.Admission.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("AdmissionService");
    }
  }

  private static final class AdmissionServiceFileDescriptorSupplier
      extends AdmissionServiceBaseDescriptorSupplier {
    AdmissionServiceFileDescriptorSupplier() {}
  }

  private static final class AdmissionServiceMethodDescriptorSupplier
      extends AdmissionServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final String methodName;

    AdmissionServiceMethodDescriptorSupplier(String methodName) {
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
      synchronized (AdmissionServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new AdmissionServiceFileDescriptorSupplier())
              .addMethod(getCheckAdmissionMethod())
              .build();
        }
      }
    }
    return result;
  }
}
