package ai.sonichaos.separation.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Separates a mix into drums, bass, vocals and other, and packs them as a ZIP.
 * </pre>
 */
@javax.annotation.Generated(
    value = "by gRPC proto compiler",
    comments = "Source: sonichaos/separation/v1/separation.proto")
@io.grpc.stub.annotations.GrpcGenerated
public final class SeparationServiceGrpc {

  private SeparationServiceGrpc() {}

  public static final String SERVICE_NAME = "sonichaos.separation.v1.SeparationService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.SeparateTensorRequest,
      ai.sonichaos.separation.v1.SeparateTensorResponse> getSeparateTensorMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "SeparateTensor",
      requestType = ai.sonichaos.separation.v1.SeparateTensorRequest.class,
      responseType = ai.sonichaos.separation.v1.SeparateTensorResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.SeparateTensorRequest,
      ai.sonichaos.separation.v1.SeparateTensorResponse> getSeparateTensorMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.SeparateTensorRequest, ai.sonichaos.separation.v1.SeparateTensorResponse> getSeparateTensorMethod;
    if ((getSeparateTensorMethod = SeparationServiceGrpc.getSeparateTensorMethod) == null) {
      synchronized (SeparationServiceGrpc.class) {
        if ((getSeparateTensorMethod = SeparationServiceGrpc.getSeparateTensorMethod) == null) {
          SeparationServiceGrpc.getSeparateTensorMethod = getSeparateTensorMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.separation.v1.SeparateTensorRequest, ai.sonichaos.separation.v1.SeparateTensorResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "SeparateTensor"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.separation.v1.SeparateTensorRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.separation.v1.SeparateTensorResponse.getDefaultInstance()))
              .setSchemaDescriptor(new SeparationServiceMethodDescriptorSupplier("SeparateTensor"))
              .build();
        }
      }
    }
    return getSeparateTensorMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.CreateSeparationRequest,
      ai.sonichaos.separation.v1.CreateSeparationResponse> getCreateSeparationMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "CreateSeparation",
      requestType = ai.sonichaos.separation.v1.CreateSeparationRequest.class,
      responseType = ai.sonichaos.separation.v1.CreateSeparationResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.CLIENT_STREAMING)
  public static io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.CreateSeparationRequest,
      ai.sonichaos.separation.v1.CreateSeparationResponse> getCreateSeparationMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.CreateSeparationRequest, ai.sonichaos.separation.v1.CreateSeparationResponse> getCreateSeparationMethod;
    if ((getCreateSeparationMethod = SeparationServiceGrpc.getCreateSeparationMethod) == null) {
      synchronized (SeparationServiceGrpc.class) {
        if ((getCreateSeparationMethod = SeparationServiceGrpc.getCreateSeparationMethod) == null) {
          SeparationServiceGrpc.getCreateSeparationMethod = getCreateSeparationMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.separation.v1.CreateSeparationRequest, ai.sonichaos.separation.v1.CreateSeparationResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.CLIENT_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "CreateSeparation"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.separation.v1.CreateSeparationRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.separation.v1.CreateSeparationResponse.getDefaultInstance()))
              .setSchemaDescriptor(new SeparationServiceMethodDescriptorSupplier("CreateSeparation"))
              .build();
        }
      }
    }
    return getCreateSeparationMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.ReplaceStemRequest,
      ai.sonichaos.separation.v1.ReplaceStemResponse> getReplaceStemMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ReplaceStem",
      requestType = ai.sonichaos.separation.v1.ReplaceStemRequest.class,
      responseType = ai.sonichaos.separation.v1.ReplaceStemResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.ReplaceStemRequest,
      ai.sonichaos.separation.v1.ReplaceStemResponse> getReplaceStemMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.ReplaceStemRequest, ai.sonichaos.separation.v1.ReplaceStemResponse> getReplaceStemMethod;
    if ((getReplaceStemMethod = SeparationServiceGrpc.getReplaceStemMethod) == null) {
      synchronized (SeparationServiceGrpc.class) {
        if ((getReplaceStemMethod = SeparationServiceGrpc.getReplaceStemMethod) == null) {
          SeparationServiceGrpc.getReplaceStemMethod = getReplaceStemMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.separation.v1.ReplaceStemRequest, ai.sonichaos.separation.v1.ReplaceStemResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ReplaceStem"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.separation.v1.ReplaceStemRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.separation.v1.ReplaceStemResponse.getDefaultInstance()))
              .setSchemaDescriptor(new SeparationServiceMethodDescriptorSupplier("ReplaceStem"))
              .build();
        }
      }
    }
    return getReplaceStemMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.AnalyzeAudioRequest,
      ai.sonichaos.separation.v1.AnalyzeAudioResponse> getAnalyzeAudioMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "AnalyzeAudio",
      requestType = ai.sonichaos.separation.v1.AnalyzeAudioRequest.class,
      responseType = ai.sonichaos.separation.v1.AnalyzeAudioResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.CLIENT_STREAMING)
  public static io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.AnalyzeAudioRequest,
      ai.sonichaos.separation.v1.AnalyzeAudioResponse> getAnalyzeAudioMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.AnalyzeAudioRequest, ai.sonichaos.separation.v1.AnalyzeAudioResponse> getAnalyzeAudioMethod;
    if ((getAnalyzeAudioMethod = SeparationServiceGrpc.getAnalyzeAudioMethod) == null) {
      synchronized (SeparationServiceGrpc.class) {
        if ((getAnalyzeAudioMethod = SeparationServiceGrpc.getAnalyzeAudioMethod) == null) {
          SeparationServiceGrpc.getAnalyzeAudioMethod = getAnalyzeAudioMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.separation.v1.AnalyzeAudioRequest, ai.sonichaos.separation.v1.AnalyzeAudioResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.CLIENT_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "AnalyzeAudio"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.separation.v1.AnalyzeAudioRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.separation.v1.AnalyzeAudioResponse.getDefaultInstance()))
              .setSchemaDescriptor(new SeparationServiceMethodDescriptorSupplier("AnalyzeAudio"))
              .build();
        }
      }
    }
    return getAnalyzeAudioMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.GetModelInfoRequest,
      ai.sonichaos.separation.v1.GetModelInfoResponse> getGetModelInfoMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "GetModelInfo",
      requestType = ai.sonichaos.separation.v1.GetModelInfoRequest.class,
      responseType = ai.sonichaos.separation.v1.GetModelInfoResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.GetModelInfoRequest,
      ai.sonichaos.separation.v1.GetModelInfoResponse> getGetModelInfoMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.separation.v1.GetModelInfoRequest, ai.sonichaos.separation.v1.GetModelInfoResponse> getGetModelInfoMethod;
    if ((getGetModelInfoMethod = SeparationServiceGrpc.getGetModelInfoMethod) == null) {
      synchronized (SeparationServiceGrpc.class) {
        if ((getGetModelInfoMethod = SeparationServiceGrpc.getGetModelInfoMethod) == null) {
          SeparationServiceGrpc.getGetModelInfoMethod = getGetModelInfoMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.separation.v1.GetModelInfoRequest, ai.sonichaos.separation.v1.GetModelInfoResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "GetModelInfo"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.separation.v1.GetModelInfoRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.separation.v1.GetModelInfoResponse.getDefaultInstance()))
              .setSchemaDescriptor(new SeparationServiceMethodDescriptorSupplier("GetModelInfo"))
              .build();
        }
      }
    }
    return getGetModelInfoMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static SeparationServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<SeparationServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<SeparationServiceStub>() {
        @java.lang.Override
        public SeparationServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new SeparationServiceStub(channel, callOptions);
        }
      };
    return SeparationServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static SeparationServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<SeparationServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<SeparationServiceBlockingStub>() {
        @java.lang.Override
        public SeparationServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new SeparationServiceBlockingStub(channel, callOptions);
        }
      };
    return SeparationServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static SeparationServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<SeparationServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<SeparationServiceFutureStub>() {
        @java.lang.Override
        public SeparationServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new SeparationServiceFutureStub(channel, callOptions);
        }
      };
    return SeparationServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Separates a mix into drums, bass, vocals and other, and packs them as a ZIP.
   * </pre>
   */
  public static abstract class SeparationServiceImplBase implements io.grpc.BindableService {

    /**
     * <pre>
     * Separates a tensor that was lent through the handoff. The caller owns the job; ending the call stops the work. A deadline that
     * cannot be met at the measured speed is refused at once with EXPIRY_TOO_SOON.
     * </pre>
     */
    public void separateTensor(ai.sonichaos.separation.v1.SeparateTensorRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.SeparateTensorResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getSeparateTensorMethod(), responseObserver);
    }

    /**
     * <pre>
     * Creates a separation job from an upload or from a file in the store. Returns once the job is durable. Watch it with
     * JobsService. Takes WAV, RF64, W64 and AIFF with PCM or float samples, and FLAC, mono or stereo, at 44100 Hz or, with `resample`,
     * at another rate.
     * </pre>
     */
    public io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.CreateSeparationRequest> createSeparation(
        io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.CreateSeparationResponse> responseObserver) {
      return io.grpc.stub.ServerCalls.asyncUnimplementedStreamingCall(getCreateSeparationMethod(), responseObserver);
    }

    /**
     * <pre>
     * Replaces one stem of a stored version with that of a lent new mix. The caller owns the job; ending the call stops the work.
     * </pre>
     */
    public void replaceStem(ai.sonichaos.separation.v1.ReplaceStemRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.ReplaceStemResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getReplaceStemMethod(), responseObserver);
    }

    /**
     * <pre>
     * Estimates the tempo map and the key of a recording, sent or in the store. Keeps nothing of it. Takes the files that
     * CreateSeparation takes.
     * </pre>
     */
    public io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.AnalyzeAudioRequest> analyzeAudio(
        io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.AnalyzeAudioResponse> responseObserver) {
      return io.grpc.stub.ServerCalls.asyncUnimplementedStreamingCall(getAnalyzeAudioMethod(), responseObserver);
    }

    /**
     * <pre>
     * Describes the loaded separator.
     * </pre>
     */
    public void getModelInfo(ai.sonichaos.separation.v1.GetModelInfoRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.GetModelInfoResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetModelInfoMethod(), responseObserver);
    }

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
          .addMethod(
            getSeparateTensorMethod(),
            io.grpc.stub.ServerCalls.asyncServerStreamingCall(
              new MethodHandlers<
                ai.sonichaos.separation.v1.SeparateTensorRequest,
                ai.sonichaos.separation.v1.SeparateTensorResponse>(
                  this, METHODID_SEPARATE_TENSOR)))
          .addMethod(
            getCreateSeparationMethod(),
            io.grpc.stub.ServerCalls.asyncClientStreamingCall(
              new MethodHandlers<
                ai.sonichaos.separation.v1.CreateSeparationRequest,
                ai.sonichaos.separation.v1.CreateSeparationResponse>(
                  this, METHODID_CREATE_SEPARATION)))
          .addMethod(
            getReplaceStemMethod(),
            io.grpc.stub.ServerCalls.asyncServerStreamingCall(
              new MethodHandlers<
                ai.sonichaos.separation.v1.ReplaceStemRequest,
                ai.sonichaos.separation.v1.ReplaceStemResponse>(
                  this, METHODID_REPLACE_STEM)))
          .addMethod(
            getAnalyzeAudioMethod(),
            io.grpc.stub.ServerCalls.asyncClientStreamingCall(
              new MethodHandlers<
                ai.sonichaos.separation.v1.AnalyzeAudioRequest,
                ai.sonichaos.separation.v1.AnalyzeAudioResponse>(
                  this, METHODID_ANALYZE_AUDIO)))
          .addMethod(
            getGetModelInfoMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.separation.v1.GetModelInfoRequest,
                ai.sonichaos.separation.v1.GetModelInfoResponse>(
                  this, METHODID_GET_MODEL_INFO)))
          .build();
    }
  }

  /**
   * <pre>
   * Separates a mix into drums, bass, vocals and other, and packs them as a ZIP.
   * </pre>
   */
  public static final class SeparationServiceStub extends io.grpc.stub.AbstractAsyncStub<SeparationServiceStub> {
    private SeparationServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected SeparationServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new SeparationServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Separates a tensor that was lent through the handoff. The caller owns the job; ending the call stops the work. A deadline that
     * cannot be met at the measured speed is refused at once with EXPIRY_TOO_SOON.
     * </pre>
     */
    public void separateTensor(ai.sonichaos.separation.v1.SeparateTensorRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.SeparateTensorResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getSeparateTensorMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Creates a separation job from an upload or from a file in the store. Returns once the job is durable. Watch it with
     * JobsService. Takes WAV, RF64, W64 and AIFF with PCM or float samples, and FLAC, mono or stereo, at 44100 Hz or, with `resample`,
     * at another rate.
     * </pre>
     */
    public io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.CreateSeparationRequest> createSeparation(
        io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.CreateSeparationResponse> responseObserver) {
      return io.grpc.stub.ClientCalls.asyncClientStreamingCall(
          getChannel().newCall(getCreateSeparationMethod(), getCallOptions()), responseObserver);
    }

    /**
     * <pre>
     * Replaces one stem of a stored version with that of a lent new mix. The caller owns the job; ending the call stops the work.
     * </pre>
     */
    public void replaceStem(ai.sonichaos.separation.v1.ReplaceStemRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.ReplaceStemResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getReplaceStemMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Estimates the tempo map and the key of a recording, sent or in the store. Keeps nothing of it. Takes the files that
     * CreateSeparation takes.
     * </pre>
     */
    public io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.AnalyzeAudioRequest> analyzeAudio(
        io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.AnalyzeAudioResponse> responseObserver) {
      return io.grpc.stub.ClientCalls.asyncClientStreamingCall(
          getChannel().newCall(getAnalyzeAudioMethod(), getCallOptions()), responseObserver);
    }

    /**
     * <pre>
     * Describes the loaded separator.
     * </pre>
     */
    public void getModelInfo(ai.sonichaos.separation.v1.GetModelInfoRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.GetModelInfoResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getGetModelInfoMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * <pre>
   * Separates a mix into drums, bass, vocals and other, and packs them as a ZIP.
   * </pre>
   */
  public static final class SeparationServiceBlockingStub extends io.grpc.stub.AbstractBlockingStub<SeparationServiceBlockingStub> {
    private SeparationServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected SeparationServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new SeparationServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Separates a tensor that was lent through the handoff. The caller owns the job; ending the call stops the work. A deadline that
     * cannot be met at the measured speed is refused at once with EXPIRY_TOO_SOON.
     * </pre>
     */
    public java.util.Iterator<ai.sonichaos.separation.v1.SeparateTensorResponse> separateTensor(
        ai.sonichaos.separation.v1.SeparateTensorRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getSeparateTensorMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Replaces one stem of a stored version with that of a lent new mix. The caller owns the job; ending the call stops the work.
     * </pre>
     */
    public java.util.Iterator<ai.sonichaos.separation.v1.ReplaceStemResponse> replaceStem(
        ai.sonichaos.separation.v1.ReplaceStemRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getReplaceStemMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Describes the loaded separator.
     * </pre>
     */
    public ai.sonichaos.separation.v1.GetModelInfoResponse getModelInfo(ai.sonichaos.separation.v1.GetModelInfoRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getGetModelInfoMethod(), getCallOptions(), request);
    }
  }

  /**
   * <pre>
   * Separates a mix into drums, bass, vocals and other, and packs them as a ZIP.
   * </pre>
   */
  public static final class SeparationServiceFutureStub extends io.grpc.stub.AbstractFutureStub<SeparationServiceFutureStub> {
    private SeparationServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected SeparationServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new SeparationServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Describes the loaded separator.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.separation.v1.GetModelInfoResponse> getModelInfo(
        ai.sonichaos.separation.v1.GetModelInfoRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getGetModelInfoMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_SEPARATE_TENSOR = 0;
  private static final int METHODID_REPLACE_STEM = 1;
  private static final int METHODID_GET_MODEL_INFO = 2;
  private static final int METHODID_CREATE_SEPARATION = 3;
  private static final int METHODID_ANALYZE_AUDIO = 4;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final SeparationServiceImplBase serviceImpl;
    private final int methodId;

    MethodHandlers(SeparationServiceImplBase serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_SEPARATE_TENSOR:
          serviceImpl.separateTensor((ai.sonichaos.separation.v1.SeparateTensorRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.SeparateTensorResponse>) responseObserver);
          break;
        case METHODID_REPLACE_STEM:
          serviceImpl.replaceStem((ai.sonichaos.separation.v1.ReplaceStemRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.ReplaceStemResponse>) responseObserver);
          break;
        case METHODID_GET_MODEL_INFO:
          serviceImpl.getModelInfo((ai.sonichaos.separation.v1.GetModelInfoRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.GetModelInfoResponse>) responseObserver);
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
        case METHODID_CREATE_SEPARATION:
          return (io.grpc.stub.StreamObserver<Req>) serviceImpl.createSeparation(
              (io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.CreateSeparationResponse>) responseObserver);
        case METHODID_ANALYZE_AUDIO:
          return (io.grpc.stub.StreamObserver<Req>) serviceImpl.analyzeAudio(
              (io.grpc.stub.StreamObserver<ai.sonichaos.separation.v1.AnalyzeAudioResponse>) responseObserver);
        default:
          throw new AssertionError();
      }
    }
  }

  private static abstract class SeparationServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    SeparationServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return ai.sonichaos.separation.v1.Separation.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("SeparationService");
    }
  }

  private static final class SeparationServiceFileDescriptorSupplier
      extends SeparationServiceBaseDescriptorSupplier {
    SeparationServiceFileDescriptorSupplier() {}
  }

  private static final class SeparationServiceMethodDescriptorSupplier
      extends SeparationServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final String methodName;

    SeparationServiceMethodDescriptorSupplier(String methodName) {
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
      synchronized (SeparationServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new SeparationServiceFileDescriptorSupplier())
              .addMethod(getSeparateTensorMethod())
              .addMethod(getCreateSeparationMethod())
              .addMethod(getReplaceStemMethod())
              .addMethod(getAnalyzeAudioMethod())
              .addMethod(getGetModelInfoMethod())
              .build();
        }
      }
    }
    return result;
  }
}
