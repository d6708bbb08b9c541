package ai.sonichaos.webhooks.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Registers webhooks and shows their deliveries. render_service and separation_service both serve it, with the same answers: a webhook
 * of either is notified of the jobs of both.
 * </pre>
 */
@javax.annotation.Generated(
    value = "by gRPC proto compiler",
    comments = "Source: sonichaos/webhooks/v1/webhooks.proto")
@io.grpc.stub.annotations.GrpcGenerated
public final class WebhooksServiceGrpc {

  private WebhooksServiceGrpc() {}

  public static final String SERVICE_NAME = "sonichaos.webhooks.v1.WebhooksService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.CreateWebhookRequest,
      ai.sonichaos.webhooks.v1.CreateWebhookResponse> getCreateWebhookMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "CreateWebhook",
      requestType = ai.sonichaos.webhooks.v1.CreateWebhookRequest.class,
      responseType = ai.sonichaos.webhooks.v1.CreateWebhookResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.CreateWebhookRequest,
      ai.sonichaos.webhooks.v1.CreateWebhookResponse> getCreateWebhookMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.CreateWebhookRequest, ai.sonichaos.webhooks.v1.CreateWebhookResponse> getCreateWebhookMethod;
    if ((getCreateWebhookMethod = WebhooksServiceGrpc.getCreateWebhookMethod) == null) {
      synchronized (WebhooksServiceGrpc.class) {
        if ((getCreateWebhookMethod = WebhooksServiceGrpc.getCreateWebhookMethod) == null) {
          WebhooksServiceGrpc.getCreateWebhookMethod = getCreateWebhookMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.webhooks.v1.CreateWebhookRequest, ai.sonichaos.webhooks.v1.CreateWebhookResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "CreateWebhook"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.webhooks.v1.CreateWebhookRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.webhooks.v1.CreateWebhookResponse.getDefaultInstance()))
              .setSchemaDescriptor(new WebhooksServiceMethodDescriptorSupplier("CreateWebhook"))
              .build();
        }
      }
    }
    return getCreateWebhookMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.ListWebhooksRequest,
      ai.sonichaos.webhooks.v1.ListWebhooksResponse> getListWebhooksMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ListWebhooks",
      requestType = ai.sonichaos.webhooks.v1.ListWebhooksRequest.class,
      responseType = ai.sonichaos.webhooks.v1.ListWebhooksResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.ListWebhooksRequest,
      ai.sonichaos.webhooks.v1.ListWebhooksResponse> getListWebhooksMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.ListWebhooksRequest, ai.sonichaos.webhooks.v1.ListWebhooksResponse> getListWebhooksMethod;
    if ((getListWebhooksMethod = WebhooksServiceGrpc.getListWebhooksMethod) == null) {
      synchronized (WebhooksServiceGrpc.class) {
        if ((getListWebhooksMethod = WebhooksServiceGrpc.getListWebhooksMethod) == null) {
          WebhooksServiceGrpc.getListWebhooksMethod = getListWebhooksMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.webhooks.v1.ListWebhooksRequest, ai.sonichaos.webhooks.v1.ListWebhooksResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ListWebhooks"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.webhooks.v1.ListWebhooksRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.webhooks.v1.ListWebhooksResponse.getDefaultInstance()))
              .setSchemaDescriptor(new WebhooksServiceMethodDescriptorSupplier("ListWebhooks"))
              .build();
        }
      }
    }
    return getListWebhooksMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.DeleteWebhookRequest,
      ai.sonichaos.webhooks.v1.DeleteWebhookResponse> getDeleteWebhookMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "DeleteWebhook",
      requestType = ai.sonichaos.webhooks.v1.DeleteWebhookRequest.class,
      responseType = ai.sonichaos.webhooks.v1.DeleteWebhookResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.DeleteWebhookRequest,
      ai.sonichaos.webhooks.v1.DeleteWebhookResponse> getDeleteWebhookMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.DeleteWebhookRequest, ai.sonichaos.webhooks.v1.DeleteWebhookResponse> getDeleteWebhookMethod;
    if ((getDeleteWebhookMethod = WebhooksServiceGrpc.getDeleteWebhookMethod) == null) {
      synchronized (WebhooksServiceGrpc.class) {
        if ((getDeleteWebhookMethod = WebhooksServiceGrpc.getDeleteWebhookMethod) == null) {
          WebhooksServiceGrpc.getDeleteWebhookMethod = getDeleteWebhookMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.webhooks.v1.DeleteWebhookRequest, ai.sonichaos.webhooks.v1.DeleteWebhookResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "DeleteWebhook"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.webhooks.v1.DeleteWebhookRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.webhooks.v1.DeleteWebhookResponse.getDefaultInstance()))
              .setSchemaDescriptor(new WebhooksServiceMethodDescriptorSupplier("DeleteWebhook"))
              .build();
        }
      }
    }
    return getDeleteWebhookMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.ListWebhookDeliveriesRequest,
      ai.sonichaos.webhooks.v1.ListWebhookDeliveriesResponse> getListWebhookDeliveriesMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ListWebhookDeliveries",
      requestType = ai.sonichaos.webhooks.v1.ListWebhookDeliveriesRequest.class,
      responseType = ai.sonichaos.webhooks.v1.ListWebhookDeliveriesResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.ListWebhookDeliveriesRequest,
      ai.sonichaos.webhooks.v1.ListWebhookDeliveriesResponse> getListWebhookDeliveriesMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.ListWebhookDeliveriesRequest, ai.sonichaos.webhooks.v1.ListWebhookDeliveriesResponse> getListWebhookDeliveriesMethod;
    if ((getListWebhookDeliveriesMethod = WebhooksServiceGrpc.getListWebhookDeliveriesMethod) == null) {
      synchronized (WebhooksServiceGrpc.class) {
        if ((getListWebhookDeliveriesMethod = WebhooksServiceGrpc.getListWebhookDeliveriesMethod) == null) {
          WebhooksServiceGrpc.getListWebhookDeliveriesMethod = getListWebhookDeliveriesMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.webhooks.v1.ListWebhookDeliveriesRequest, ai.sonichaos.webhooks.v1.ListWebhookDeliveriesResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ListWebhookDeliveries"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.webhooks.v1.ListWebhookDeliveriesRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.webhooks.v1.ListWebhookDeliveriesResponse.getDefaultInstance()))
              .setSchemaDescriptor(new WebhooksServiceMethodDescriptorSupplier("ListWebhookDeliveries"))
              .build();
        }
      }
    }
    return getListWebhookDeliveriesMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.RetryWebhookDeliveryRequest,
      ai.sonichaos.webhooks.v1.RetryWebhookDeliveryResponse> getRetryWebhookDeliveryMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "RetryWebhookDelivery",
      requestType = ai.sonichaos.webhooks.v1.RetryWebhookDeliveryRequest.class,
      responseType = ai.sonichaos.webhooks.v1.RetryWebhookDeliveryResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.RetryWebhookDeliveryRequest,
      ai.sonichaos.webhooks.v1.RetryWebhookDeliveryResponse> getRetryWebhookDeliveryMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.webhooks.v1.RetryWebhookDeliveryRequest, ai.sonichaos.webhooks.v1.RetryWebhookDeliveryResponse> getRetryWebhookDeliveryMethod;
    if ((getRetryWebhookDeliveryMethod = WebhooksServiceGrpc.getRetryWebhookDeliveryMethod) == null) {
      synchronized (WebhooksServiceGrpc.class) {
        if ((getRetryWebhookDeliveryMethod = WebhooksServiceGrpc.getRetryWebhookDeliveryMethod) == null) {
          WebhooksServiceGrpc.getRetryWebhookDeliveryMethod = getRetryWebhookDeliveryMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.webhooks.v1.RetryWebhookDeliveryRequest, ai.sonichaos.webhooks.v1.RetryWebhookDeliveryResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "RetryWebhookDelivery"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.webhooks.v1.RetryWebhookDeliveryRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.webhooks.v1.RetryWebhookDeliveryResponse.getDefaultInstance()))
              .setSchemaDescriptor(new WebhooksServiceMethodDescriptorSupplier("RetryWebhookDelivery"))
              .build();
        }
      }
    }
    return getRetryWebhookDeliveryMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static WebhooksServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<WebhooksServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<WebhooksServiceStub>() {
        @java.lang.Override
        public WebhooksServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new WebhooksServiceStub(channel, callOptions);
        }
      };
    return WebhooksServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static WebhooksServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<WebhooksServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<WebhooksServiceBlockingStub>() {
        @java.lang.Override
        public WebhooksServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new WebhooksServiceBlockingStub(channel, callOptions);
        }
      };
    return WebhooksServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static WebhooksServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<WebhooksServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<WebhooksServiceFutureStub>() {
        @java.lang.Override
        public WebhooksServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new WebhooksServiceFutureStub(channel, callOptions);
        }
      };
    return WebhooksServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Registers webhooks and shows their deliveries. render_service and separation_service both serve it, with the same answers: a webhook
   * of either is notified of the jobs of both.
   * </pre>
   */
  public static abstract class WebhooksServiceImplBase implements io.grpc.BindableService {

    /**
     * <pre>
     * Registers a webhook, for one job or for all of the caller's jobs. The response has the secret that signs its requests; no other
     * call shows it. Safe to repeat with a request id.
     * </pre>
     */
    public void createWebhook(ai.sonichaos.webhooks.v1.CreateWebhookRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.CreateWebhookResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCreateWebhookMethod(), responseObserver);
    }

    /**
     * <pre>
     * Lists the caller's webhooks, newest first.
     * </pre>
     */
    public void listWebhooks(ai.sonichaos.webhooks.v1.ListWebhooksRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.ListWebhooksResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getListWebhooksMethod(), responseObserver);
    }

    /**
     * <pre>
     * Removes a webhook and its deliveries. An attempt that runs is not interrupted.
     * </pre>
     */
    public void deleteWebhook(ai.sonichaos.webhooks.v1.DeleteWebhookRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.DeleteWebhookResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getDeleteWebhookMethod(), responseObserver);
    }

    /**
     * <pre>
     * Lists the deliveries of a webhook, newest first, those that have ended for as long as SONICHAOS_WEBHOOK_RETENTION_DAYS.
     * </pre>
     */
    public void listWebhookDeliveries(ai.sonichaos.webhooks.v1.ListWebhookDeliveriesRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.ListWebhookDeliveriesResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getListWebhookDeliveriesMethod(), responseObserver);
    }

    /**
     * <pre>
     * Attempts a delivery now, whatever its state, and as often as a new one if that fails.
     * </pre>
     */
    public void retryWebhookDelivery(ai.sonichaos.webhooks.v1.RetryWebhookDeliveryRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.RetryWebhookDeliveryResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getRetryWebhookDeliveryMethod(), responseObserver);
    }

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
          .addMethod(
            getCreateWebhookMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.webhooks.v1.CreateWebhookRequest,
                ai.sonichaos.webhooks.v1.CreateWebhookResponse>(
                  this, METHODID_CREATE_WEBHOOK)))
          .addMethod(
            getListWebhooksMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.webhooks.v1.ListWebhooksRequest,
                ai.sonichaos.webhooks.v1.ListWebhooksResponse>(
                  this, METHODID_LIST_WEBHOOKS)))
          .addMethod(
            getDeleteWebhookMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.webhooks.v1.DeleteWebhookRequest,
                ai.sonichaos.webhooks.v1.DeleteWebhookResponse>(
                  this, METHODID_DELETE_WEBHOOK)))
          .addMethod(
            getListWebhookDeliveriesMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.webhooks.v1.ListWebhookDeliveriesRequest,
                ai.sonichaos.webhooks.v1.ListWebhookDeliveriesResponse>(
                  this, METHODID_LIST_WEBHOOK_DELIVERIES)))
          .addMethod(
            getRetryWebhookDeliveryMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.webhooks.v1.RetryWebhookDeliveryRequest,
                ai.sonichaos.webhooks.v1.RetryWebhookDeliveryResponse>(
                  this, METHODID_RETRY_WEBHOOK_DELIVERY)))
          .build();
    }
  }

  /**
   * <pre>
   * Registers webhooks and shows their deliveries. render_service and separation_service both serve it, with the same answers: a webhook
   * of either is notified of the jobs of both.
   * </pre>
   */
  public static final class WebhooksServiceStub extends io.grpc.stub.AbstractAsyncStub<WebhooksServiceStub> {
    private WebhooksServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected WebhooksServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new WebhooksServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Registers a webhook, for one job or for all of the caller's jobs. The response has the secret that signs its requests; no other
     * call shows it. Safe to repeat with a request id.
     * </pre>
     */
    public void createWebhook(ai.sonichaos.webhooks.v1.CreateWebhookRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.CreateWebhookResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCreateWebhookMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Lists the caller's webhooks, newest first.
     * </pre>
     */
    public void listWebhooks(ai.sonichaos.webhooks.v1.ListWebhooksRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.ListWebhooksResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getListWebhooksMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Removes a webhook and its deliveries. An attempt that runs is not interrupted.
     * </pre>
     */
    public void deleteWebhook(ai.sonichaos.webhooks.v1.DeleteWebhookRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.DeleteWebhookResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getDeleteWebhookMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Lists the deliveries of a webhook, newest first, those that have ended for as long as SONICHAOS_WEBHOOK_RETENTION_DAYS.
     * </pre>
     */
    public void listWebhookDeliveries(ai.sonichaos.webhooks.v1.ListWebhookDeliveriesRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.ListWebhookDeliveriesResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getListWebhookDeliveriesMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Attempts a delivery now, whatever its state, and as often as a new one if that fails.
     * </pre>
     */
    public void retryWebhookDelivery(ai.sonichaos.webhooks.v1.RetryWebhookDeliveryRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.RetryWebhookDeliveryResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getRetryWebhookDeliveryMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * <pre>
   * Registers webhooks and shows their deliveries. render_service and separation_service both serve it, with the same answers: a webhook
   * of either is notified of the jobs of both.
   * </pre>
   */
  public static final class WebhooksServiceBlockingStub extends io.grpc.stub.AbstractBlockingStub<WebhooksServiceBlockingStub> {
    private WebhooksServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected WebhooksServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new WebhooksServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Registers a webhook, for one job or for all of the caller's jobs. The response has the secret that signs its requests; no other
     * call shows it. Safe to repeat with a request id.
     * </pre>
     */
    public ai.sonichaos.webhooks.v1.CreateWebhookResponse createWebhook(ai.sonichaos.webhooks.v1.CreateWebhookRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCreateWebhookMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Lists the caller's webhooks, newest first.
     * </pre>
     */
    public ai.sonichaos.webhooks.v1.ListWebhooksResponse listWebhooks(ai.sonichaos.webhooks.v1.ListWebhooksRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getListWebhooksMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Removes a webhook and its deliveries. An attempt that runs is not interrupted.
     * </pre>
     */
    public ai.sonichaos.webhooks.v1.DeleteWebhookResponse deleteWebhook(ai.sonichaos.webhooks.v1.DeleteWebhookRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getDeleteWebhookMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Lists the deliveries of a webhook, newest first, those that have ended for as long as SONICHAOS_WEBHOOK_RETENTION_DAYS.
     * </pre>
     */
    public ai.sonichaos.webhooks.v1.ListWebhookDeliveriesResponse listWebhookDeliveries(ai.sonichaos.webhooks.v1.ListWebhookDeliveriesRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getListWebhookDeliveriesMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Attempts a delivery now, whatever its state, and as often as a new one if that fails.
     * </pre>
     */
    public ai.sonichaos.webhooks.v1.RetryWebhookDeliveryResponse retryWebhookDelivery(ai.sonichaos.webhooks.v1.RetryWebhookDeliveryRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getRetryWebhookDeliveryMethod(), getCallOptions(), request);
    }
  }

  /**
   * <pre>
   * Registers webhooks and shows their deliveries. render_service and separation_service both serve it, with the same answers: a webhook
   * of either is notified of the jobs of both.
   * </pre>
   */
  public static final class WebhooksServiceFutureStub extends io.grpc.stub.AbstractFutureStub<WebhooksServiceFutureStub> {
    private WebhooksServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected WebhooksServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new WebhooksServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Registers a webhook, for one job or for all of the caller's jobs. The response has the secret that signs its requests; no other
     * call shows it. Safe to repeat with a request id.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.webhooks.v1.CreateWebhookResponse> createWebhook(
        ai.sonichaos.webhooks.v1.CreateWebhookRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCreateWebhookMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Lists the caller's webhooks, newest first.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.webhooks.v1.ListWebhooksResponse> listWebhooks(
        ai.sonichaos.webhooks.v1.ListWebhooksRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getListWebhooksMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Removes a webhook and its deliveries. An attempt that runs is not interrupted.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.webhooks.v1.DeleteWebhookResponse> deleteWebhook(
        ai.sonichaos.webhooks.v1.DeleteWebhookRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getDeleteWebhookMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Lists the deliveries of a webhook, newest first, those that have ended for as long as SONICHAOS_WEBHOOK_RETENTION_DAYS.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.webhooks.v1.ListWebhookDeliveriesResponse> listWebhookDeliveries(
        ai.sonichaos.webhooks.v1.ListWebhookDeliveriesRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getListWebhookDeliveriesMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Attempts a delivery now, whatever its state, and as often as a new one if that fails.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.webhooks.v1.RetryWebhookDeliveryResponse> retryWebhookDelivery(
        ai.sonichaos.webhooks.v1.RetryWebhookDeliveryRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getRetryWebhookDeliveryMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_CREATE_WEBHOOK = 0;
  private static final int METHODID_LIST_WEBHOOKS = 1;
  private static final int METHODID_DELETE_WEBHOOK = 2;
  private static final int METHODID_LIST_WEBHOOK_DELIVERIES = 3;
  private static final int METHODID_RETRY_WEBHOOK_DELIVERY = 4;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final WebhooksServiceImplBase serviceImpl;
    private final int methodId;

    MethodHandlers(WebhooksServiceImplBase serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_CREATE_WEBHOOK:
          serviceImpl.createWebhook((ai.sonichaos.webhooks.v1.CreateWebhookRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.CreateWebhookResponse>) responseObserver);
          break;
        case METHODID_LIST_WEBHOOKS:
          serviceImpl.listWebhooks((ai.sonichaos.webhooks.v1.ListWebhooksRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.ListWebhooksResponse>) responseObserver);
          break;
        case METHODID_DELETE_WEBHOOK:
          serviceImpl.deleteWebhook((ai.sonichaos.webhooks.v1.DeleteWebhookRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.DeleteWebhookResponse>) responseObserver);
          break;
        case METHODID_LIST_WEBHOOK_DELIVERIES:
          serviceImpl.listWebhookDeliveries((ai.sonichaos.webhooks.v1.ListWebhookDeliveriesRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.ListWebhookDeliveriesResponse>) responseObserver);
          break;
        case METHODID_RETRY_WEBHOOK_DELIVERY:
          serviceImpl.retryWebhookDelivery((ai.sonichaos.webhooks.v1.RetryWebhookDeliveryRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.webhooks.v1.RetryWebhookDeliveryResponse>) responseObserver);
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

  private static abstract class WebhooksServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    WebhooksServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return ai.sonichaos.webhooks.v1.Webhooks.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("WebhooksService");
    }
  }

  private static final class WebhooksServiceFileDescriptorSupplier
      extends WebhooksServiceBaseDescriptorSupplier {
    WebhooksServiceFileDescriptorSupplier() {}
  }

  private static final class WebhooksServiceMethodDescriptorSupplier
      extends WebhooksServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final String methodName;

    WebhooksServiceMethodDescriptorSupplier(String methodName) {
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
      synchronized (WebhooksServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new WebhooksServiceFileDescriptorSupplier())
              .addMethod(getCreateWebhookMethod())
              .addMethod(getListWebhooksMethod())
              .addMethod(getDeleteWebhookMethod())
              .addMethod(getListWebhookDeliveriesMethod())
              .addMethod(getRetryWebhookDeliveryMethod())
              .build();
        }
      }
    }
    return result;
  }
}
