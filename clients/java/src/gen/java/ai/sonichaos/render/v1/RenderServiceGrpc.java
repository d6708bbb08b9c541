package ai.sonichaos.render.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Renders takes from briefs, and keeps personas and audit rows.
 * </pre>
 */
@javax.annotation.Generated(
    value = "by gRPC proto compiler",
    comments = "Source: sonichaos/render/v1/render.proto")
@io.grpc.stub.annotations.GrpcGenerated
public final class RenderServiceGrpc {

  private RenderServiceGrpc() {}

  public static final String SERVICE_NAME = "sonichaos.render.v1.RenderService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.CreateRenderRequest,
      ai.sonichaos.render.v1.CreateRenderResponse> getCreateRenderMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "CreateRender",
      requestType = ai.sonichaos.render.v1.CreateRenderRequest.class,
      responseType = ai.sonichaos.render.v1.CreateRenderResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.CreateRenderRequest,
      ai.sonichaos.render.v1.CreateRenderResponse> getCreateRenderMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.CreateRenderRequest, ai.sonichaos.render.v1.CreateRenderResponse> getCreateRenderMethod;
    if ((getCreateRenderMethod = RenderServiceGrpc.getCreateRenderMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getCreateRenderMethod = RenderServiceGrpc.getCreateRenderMethod) == null) {
          RenderServiceGrpc.getCreateRenderMethod = getCreateRenderMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.CreateRenderRequest, ai.sonichaos.render.v1.CreateRenderResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "CreateRender"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.CreateRenderRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.CreateRenderResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("CreateRender"))
              .build();
        }
      }
    }
    return getCreateRenderMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.RerenderStemRequest,
      ai.sonichaos.render.v1.RerenderStemResponse> getRerenderStemMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "RerenderStem",
      requestType = ai.sonichaos.render.v1.RerenderStemRequest.class,
      responseType = ai.sonichaos.render.v1.RerenderStemResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.RerenderStemRequest,
      ai.sonichaos.render.v1.RerenderStemResponse> getRerenderStemMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.RerenderStemRequest, ai.sonichaos.render.v1.RerenderStemResponse> getRerenderStemMethod;
    if ((getRerenderStemMethod = RenderServiceGrpc.getRerenderStemMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getRerenderStemMethod = RenderServiceGrpc.getRerenderStemMethod) == null) {
          RenderServiceGrpc.getRerenderStemMethod = getRerenderStemMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.RerenderStemRequest, ai.sonichaos.render.v1.RerenderStemResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "RerenderStem"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.RerenderStemRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.RerenderStemResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("RerenderStem"))
              .build();
        }
      }
    }
    return getRerenderStemMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.AnalyzePromptRequest,
      ai.sonichaos.render.v1.AnalyzePromptResponse> getAnalyzePromptMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "AnalyzePrompt",
      requestType = ai.sonichaos.render.v1.AnalyzePromptRequest.class,
      responseType = ai.sonichaos.render.v1.AnalyzePromptResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.AnalyzePromptRequest,
      ai.sonichaos.render.v1.AnalyzePromptResponse> getAnalyzePromptMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.AnalyzePromptRequest, ai.sonichaos.render.v1.AnalyzePromptResponse> getAnalyzePromptMethod;
    if ((getAnalyzePromptMethod = RenderServiceGrpc.getAnalyzePromptMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getAnalyzePromptMethod = RenderServiceGrpc.getAnalyzePromptMethod) == null) {
          RenderServiceGrpc.getAnalyzePromptMethod = getAnalyzePromptMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.AnalyzePromptRequest, ai.sonichaos.render.v1.AnalyzePromptResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "AnalyzePrompt"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.AnalyzePromptRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.AnalyzePromptResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("AnalyzePrompt"))
              .build();
        }
      }
    }
    return getAnalyzePromptMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.EstimateRenderRequest,
      ai.sonichaos.render.v1.EstimateRenderResponse> getEstimateRenderMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "EstimateRender",
      requestType = ai.sonichaos.render.v1.EstimateRenderRequest.class,
      responseType = ai.sonichaos.render.v1.EstimateRenderResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.EstimateRenderRequest,
      ai.sonichaos.render.v1.EstimateRenderResponse> getEstimateRenderMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.EstimateRenderRequest, ai.sonichaos.render.v1.EstimateRenderResponse> getEstimateRenderMethod;
    if ((getEstimateRenderMethod = RenderServiceGrpc.getEstimateRenderMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getEstimateRenderMethod = RenderServiceGrpc.getEstimateRenderMethod) == null) {
          RenderServiceGrpc.getEstimateRenderMethod = getEstimateRenderMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.EstimateRenderRequest, ai.sonichaos.render.v1.EstimateRenderResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "EstimateRender"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.EstimateRenderRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.EstimateRenderResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("EstimateRender"))
              .build();
        }
      }
    }
    return getEstimateRenderMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.ListPersonasRequest,
      ai.sonichaos.render.v1.ListPersonasResponse> getListPersonasMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ListPersonas",
      requestType = ai.sonichaos.render.v1.ListPersonasRequest.class,
      responseType = ai.sonichaos.render.v1.ListPersonasResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.ListPersonasRequest,
      ai.sonichaos.render.v1.ListPersonasResponse> getListPersonasMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.ListPersonasRequest, ai.sonichaos.render.v1.ListPersonasResponse> getListPersonasMethod;
    if ((getListPersonasMethod = RenderServiceGrpc.getListPersonasMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getListPersonasMethod = RenderServiceGrpc.getListPersonasMethod) == null) {
          RenderServiceGrpc.getListPersonasMethod = getListPersonasMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.ListPersonasRequest, ai.sonichaos.render.v1.ListPersonasResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ListPersonas"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.ListPersonasRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.ListPersonasResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("ListPersonas"))
              .build();
        }
      }
    }
    return getListPersonasMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.GetPersonaRequest,
      ai.sonichaos.render.v1.GetPersonaResponse> getGetPersonaMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "GetPersona",
      requestType = ai.sonichaos.render.v1.GetPersonaRequest.class,
      responseType = ai.sonichaos.render.v1.GetPersonaResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.GetPersonaRequest,
      ai.sonichaos.render.v1.GetPersonaResponse> getGetPersonaMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.GetPersonaRequest, ai.sonichaos.render.v1.GetPersonaResponse> getGetPersonaMethod;
    if ((getGetPersonaMethod = RenderServiceGrpc.getGetPersonaMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getGetPersonaMethod = RenderServiceGrpc.getGetPersonaMethod) == null) {
          RenderServiceGrpc.getGetPersonaMethod = getGetPersonaMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.GetPersonaRequest, ai.sonichaos.render.v1.GetPersonaResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "GetPersona"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.GetPersonaRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.GetPersonaResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("GetPersona"))
              .build();
        }
      }
    }
    return getGetPersonaMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.CreatePersonaRequest,
      ai.sonichaos.render.v1.CreatePersonaResponse> getCreatePersonaMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "CreatePersona",
      requestType = ai.sonichaos.render.v1.CreatePersonaRequest.class,
      responseType = ai.sonichaos.render.v1.CreatePersonaResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.CLIENT_STREAMING)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.CreatePersonaRequest,
      ai.sonichaos.render.v1.CreatePersonaResponse> getCreatePersonaMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.CreatePersonaRequest, ai.sonichaos.render.v1.CreatePersonaResponse> getCreatePersonaMethod;
    if ((getCreatePersonaMethod = RenderServiceGrpc.getCreatePersonaMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getCreatePersonaMethod = RenderServiceGrpc.getCreatePersonaMethod) == null) {
          RenderServiceGrpc.getCreatePersonaMethod = getCreatePersonaMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.CreatePersonaRequest, ai.sonichaos.render.v1.CreatePersonaResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.CLIENT_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "CreatePersona"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.CreatePersonaRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.CreatePersonaResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("CreatePersona"))
              .build();
        }
      }
    }
    return getCreatePersonaMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.DownloadPersonaClipRequest,
      ai.sonichaos.render.v1.DownloadPersonaClipResponse> getDownloadPersonaClipMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "DownloadPersonaClip",
      requestType = ai.sonichaos.render.v1.DownloadPersonaClipRequest.class,
      responseType = ai.sonichaos.render.v1.DownloadPersonaClipResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.DownloadPersonaClipRequest,
      ai.sonichaos.render.v1.DownloadPersonaClipResponse> getDownloadPersonaClipMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.DownloadPersonaClipRequest, ai.sonichaos.render.v1.DownloadPersonaClipResponse> getDownloadPersonaClipMethod;
    if ((getDownloadPersonaClipMethod = RenderServiceGrpc.getDownloadPersonaClipMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getDownloadPersonaClipMethod = RenderServiceGrpc.getDownloadPersonaClipMethod) == null) {
          RenderServiceGrpc.getDownloadPersonaClipMethod = getDownloadPersonaClipMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.DownloadPersonaClipRequest, ai.sonichaos.render.v1.DownloadPersonaClipResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "DownloadPersonaClip"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.DownloadPersonaClipRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.DownloadPersonaClipResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("DownloadPersonaClip"))
              .build();
        }
      }
    }
    return getDownloadPersonaClipMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.DeletePersonaRequest,
      ai.sonichaos.render.v1.DeletePersonaResponse> getDeletePersonaMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "DeletePersona",
      requestType = ai.sonichaos.render.v1.DeletePersonaRequest.class,
      responseType = ai.sonichaos.render.v1.DeletePersonaResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.DeletePersonaRequest,
      ai.sonichaos.render.v1.DeletePersonaResponse> getDeletePersonaMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.DeletePersonaRequest, ai.sonichaos.render.v1.DeletePersonaResponse> getDeletePersonaMethod;
    if ((getDeletePersonaMethod = RenderServiceGrpc.getDeletePersonaMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getDeletePersonaMethod = RenderServiceGrpc.getDeletePersonaMethod) == null) {
          RenderServiceGrpc.getDeletePersonaMethod = getDeletePersonaMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.DeletePersonaRequest, ai.sonichaos.render.v1.DeletePersonaResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "DeletePersona"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.DeletePersonaRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.DeletePersonaResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("DeletePersona"))
              .build();
        }
      }
    }
    return getDeletePersonaMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.ListAuditRowsRequest,
      ai.sonichaos.render.v1.ListAuditRowsResponse> getListAuditRowsMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ListAuditRows",
      requestType = ai.sonichaos.render.v1.ListAuditRowsRequest.class,
      responseType = ai.sonichaos.render.v1.ListAuditRowsResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.ListAuditRowsRequest,
      ai.sonichaos.render.v1.ListAuditRowsResponse> getListAuditRowsMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.ListAuditRowsRequest, ai.sonichaos.render.v1.ListAuditRowsResponse> getListAuditRowsMethod;
    if ((getListAuditRowsMethod = RenderServiceGrpc.getListAuditRowsMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getListAuditRowsMethod = RenderServiceGrpc.getListAuditRowsMethod) == null) {
          RenderServiceGrpc.getListAuditRowsMethod = getListAuditRowsMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.ListAuditRowsRequest, ai.sonichaos.render.v1.ListAuditRowsResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ListAuditRows"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.ListAuditRowsRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.ListAuditRowsResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("ListAuditRows"))
              .build();
        }
      }
    }
    return getListAuditRowsMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.VerifyAuditChainRequest,
      ai.sonichaos.render.v1.VerifyAuditChainResponse> getVerifyAuditChainMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "VerifyAuditChain",
      requestType = ai.sonichaos.render.v1.VerifyAuditChainRequest.class,
      responseType = ai.sonichaos.render.v1.VerifyAuditChainResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.VerifyAuditChainRequest,
      ai.sonichaos.render.v1.VerifyAuditChainResponse> getVerifyAuditChainMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.VerifyAuditChainRequest, ai.sonichaos.render.v1.VerifyAuditChainResponse> getVerifyAuditChainMethod;
    if ((getVerifyAuditChainMethod = RenderServiceGrpc.getVerifyAuditChainMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getVerifyAuditChainMethod = RenderServiceGrpc.getVerifyAuditChainMethod) == null) {
          RenderServiceGrpc.getVerifyAuditChainMethod = getVerifyAuditChainMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.VerifyAuditChainRequest, ai.sonichaos.render.v1.VerifyAuditChainResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "VerifyAuditChain"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.VerifyAuditChainRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.VerifyAuditChainResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("VerifyAuditChain"))
              .build();
        }
      }
    }
    return getVerifyAuditChainMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.GetDriftReportRequest,
      ai.sonichaos.render.v1.GetDriftReportResponse> getGetDriftReportMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "GetDriftReport",
      requestType = ai.sonichaos.render.v1.GetDriftReportRequest.class,
      responseType = ai.sonichaos.render.v1.GetDriftReportResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.GetDriftReportRequest,
      ai.sonichaos.render.v1.GetDriftReportResponse> getGetDriftReportMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.GetDriftReportRequest, ai.sonichaos.render.v1.GetDriftReportResponse> getGetDriftReportMethod;
    if ((getGetDriftReportMethod = RenderServiceGrpc.getGetDriftReportMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getGetDriftReportMethod = RenderServiceGrpc.getGetDriftReportMethod) == null) {
          RenderServiceGrpc.getGetDriftReportMethod = getGetDriftReportMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.GetDriftReportRequest, ai.sonichaos.render.v1.GetDriftReportResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "GetDriftReport"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.GetDriftReportRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.GetDriftReportResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("GetDriftReport"))
              .build();
        }
      }
    }
    return getGetDriftReportMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.ReplayTakeRequest,
      ai.sonichaos.render.v1.ReplayTakeResponse> getReplayTakeMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ReplayTake",
      requestType = ai.sonichaos.render.v1.ReplayTakeRequest.class,
      responseType = ai.sonichaos.render.v1.ReplayTakeResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.ReplayTakeRequest,
      ai.sonichaos.render.v1.ReplayTakeResponse> getReplayTakeMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.ReplayTakeRequest, ai.sonichaos.render.v1.ReplayTakeResponse> getReplayTakeMethod;
    if ((getReplayTakeMethod = RenderServiceGrpc.getReplayTakeMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getReplayTakeMethod = RenderServiceGrpc.getReplayTakeMethod) == null) {
          RenderServiceGrpc.getReplayTakeMethod = getReplayTakeMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.ReplayTakeRequest, ai.sonichaos.render.v1.ReplayTakeResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ReplayTake"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.ReplayTakeRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.ReplayTakeResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("ReplayTake"))
              .build();
        }
      }
    }
    return getReplayTakeMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.ErasePromptRequest,
      ai.sonichaos.render.v1.ErasePromptResponse> getErasePromptMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ErasePrompt",
      requestType = ai.sonichaos.render.v1.ErasePromptRequest.class,
      responseType = ai.sonichaos.render.v1.ErasePromptResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.ErasePromptRequest,
      ai.sonichaos.render.v1.ErasePromptResponse> getErasePromptMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.ErasePromptRequest, ai.sonichaos.render.v1.ErasePromptResponse> getErasePromptMethod;
    if ((getErasePromptMethod = RenderServiceGrpc.getErasePromptMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getErasePromptMethod = RenderServiceGrpc.getErasePromptMethod) == null) {
          RenderServiceGrpc.getErasePromptMethod = getErasePromptMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.ErasePromptRequest, ai.sonichaos.render.v1.ErasePromptResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ErasePrompt"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.ErasePromptRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.ErasePromptResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("ErasePrompt"))
              .build();
        }
      }
    }
    return getErasePromptMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.render.v1.GetModelInfoRequest,
      ai.sonichaos.render.v1.GetModelInfoResponse> getGetModelInfoMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "GetModelInfo",
      requestType = ai.sonichaos.render.v1.GetModelInfoRequest.class,
      responseType = ai.sonichaos.render.v1.GetModelInfoResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.render.v1.GetModelInfoRequest,
      ai.sonichaos.render.v1.GetModelInfoResponse> getGetModelInfoMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.render.v1.GetModelInfoRequest, ai.sonichaos.render.v1.GetModelInfoResponse> getGetModelInfoMethod;
    if ((getGetModelInfoMethod = RenderServiceGrpc.getGetModelInfoMethod) == null) {
      synchronized (RenderServiceGrpc.class) {
        if ((getGetModelInfoMethod = RenderServiceGrpc.getGetModelInfoMethod) == null) {
          RenderServiceGrpc.getGetModelInfoMethod = getGetModelInfoMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.render.v1.GetModelInfoRequest, ai.sonichaos.render.v1.GetModelInfoResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "GetModelInfo"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.GetModelInfoRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.render.v1.GetModelInfoResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RenderServiceMethodDescriptorSupplier("GetModelInfo"))
              .build();
        }
      }
    }
    return getGetModelInfoMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static RenderServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<RenderServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<RenderServiceStub>() {
        @java.lang.Override
        public RenderServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new RenderServiceStub(channel, callOptions);
        }
      };
    return RenderServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static RenderServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<RenderServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<RenderServiceBlockingStub>() {
        @java.lang.Override
        public RenderServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new RenderServiceBlockingStub(channel, callOptions);
        }
      };
    return RenderServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static RenderServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<RenderServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<RenderServiceFutureStub>() {
        @java.lang.Override
        public RenderServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new RenderServiceFutureStub(channel, callOptions);
        }
      };
    return RenderServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Renders takes from briefs, and keeps personas and audit rows.
   * </pre>
   */
  public static abstract class RenderServiceImplBase implements io.grpc.BindableService {

    /**
     * <pre>
     * Creates a render job from a brief. Returns once the job is durable. Watch it with JobsService.
     * </pre>
     */
    public void createRender(ai.sonichaos.render.v1.CreateRenderRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.CreateRenderResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCreateRenderMethod(), responseObserver);
    }

    /**
     * <pre>
     * Re-renders one stem of a version that is done, as the job's next version. Returns once that version is durable.
     * </pre>
     */
    public void rerenderStem(ai.sonichaos.render.v1.RerenderStemRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.RerenderStemResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getRerenderStemMethod(), responseObserver);
    }

    /**
     * <pre>
     * Reports what the services read from a prompt: instruments, mood, tempo and key. Creates nothing.
     * </pre>
     */
    public void analyzePrompt(ai.sonichaos.render.v1.AnalyzePromptRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.AnalyzePromptResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getAnalyzePromptMethod(), responseObserver);
    }

    /**
     * <pre>
     * Estimates when a take would be done if it were requested now. Creates nothing.
     * </pre>
     */
    public void estimateRender(ai.sonichaos.render.v1.EstimateRenderRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.EstimateRenderResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getEstimateRenderMethod(), responseObserver);
    }

    /**
     * <pre>
     * Lists the built-in personas and those that the caller's tenant created, by id.
     * </pre>
     */
    public void listPersonas(ai.sonichaos.render.v1.ListPersonasRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.ListPersonasResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getListPersonasMethod(), responseObserver);
    }

    /**
     * <pre>
     * Returns one persona.
     * </pre>
     */
    public void getPersona(ai.sonichaos.render.v1.GetPersonaRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.GetPersonaResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetPersonaMethod(), responseObserver);
    }

    /**
     * <pre>
     * Creates a persona from reference clips: send the header first, then the clips one after another in chunks.
     * </pre>
     */
    public io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.CreatePersonaRequest> createPersona(
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.CreatePersonaResponse> responseObserver) {
      return io.grpc.stub.ServerCalls.asyncUnimplementedStreamingCall(getCreatePersonaMethod(), responseObserver);
    }

    /**
     * <pre>
     * Downloads one reference clip of a persona, as it was sent.
     * </pre>
     */
    public void downloadPersonaClip(ai.sonichaos.render.v1.DownloadPersonaClipRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.DownloadPersonaClipResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getDownloadPersonaClipMethod(), responseObserver);
    }

    /**
     * <pre>
     * Deletes a persona that was created. The audit rows of its takes keep its embedding.
     * </pre>
     */
    public void deletePersona(ai.sonichaos.render.v1.DeletePersonaRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.DeletePersonaResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getDeletePersonaMethod(), responseObserver);
    }

    /**
     * <pre>
     * Lists the caller's audit rows, oldest first, of one job or of all.
     * </pre>
     */
    public void listAuditRows(ai.sonichaos.render.v1.ListAuditRowsRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.ListAuditRowsResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getListAuditRowsMethod(), responseObserver);
    }

    /**
     * <pre>
     * Verifies the caller's whole audit chain, and optionally that it contains an exported head.
     * </pre>
     */
    public void verifyAuditChain(ai.sonichaos.render.v1.VerifyAuditChainRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.VerifyAuditChainResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getVerifyAuditChainMethod(), responseObserver);
    }

    /**
     * <pre>
     * Reports how far re-rendered stems of one kind lie from the grid of their originals.
     * </pre>
     */
    public void getDriftReport(ai.sonichaos.render.v1.GetDriftReportRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.GetDriftReportResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetDriftReportMethod(), responseObserver);
    }

    /**
     * <pre>
     * Renders a version again from its audit row and compares the result with the stored bounce.
     * </pre>
     */
    public void replayTake(ai.sonichaos.render.v1.ReplayTakeRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.ReplayTakeResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getReplayTakeMethod(), responseObserver);
    }

    /**
     * <pre>
     * Erases a job's prompts from the journal, even if the job was deleted. The audit chain stays intact; the job can no longer be
     * replayed.
     * </pre>
     */
    public void erasePrompt(ai.sonichaos.render.v1.ErasePromptRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.ErasePromptResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getErasePromptMethod(), responseObserver);
    }

    /**
     * <pre>
     * Describes the loaded renderer.
     * </pre>
     */
    public void getModelInfo(ai.sonichaos.render.v1.GetModelInfoRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.GetModelInfoResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetModelInfoMethod(), responseObserver);
    }

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
          .addMethod(
            getCreateRenderMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.CreateRenderRequest,
                ai.sonichaos.render.v1.CreateRenderResponse>(
                  this, METHODID_CREATE_RENDER)))
          .addMethod(
            getRerenderStemMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.RerenderStemRequest,
                ai.sonichaos.render.v1.RerenderStemResponse>(
                  this, METHODID_RERENDER_STEM)))
          .addMethod(
            getAnalyzePromptMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.AnalyzePromptRequest,
                ai.sonichaos.render.v1.AnalyzePromptResponse>(
                  this, METHODID_ANALYZE_PROMPT)))
          .addMethod(
            getEstimateRenderMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.EstimateRenderRequest,
                ai.sonichaos.render.v1.EstimateRenderResponse>(
                  this, METHODID_ESTIMATE_RENDER)))
          .addMethod(
            getListPersonasMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.ListPersonasRequest,
                ai.sonichaos.render.v1.ListPersonasResponse>(
                  this, METHODID_LIST_PERSONAS)))
          .addMethod(
            getGetPersonaMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.GetPersonaRequest,
                ai.sonichaos.render.v1.GetPersonaResponse>(
                  this, METHODID_GET_PERSONA)))
          .addMethod(
            getCreatePersonaMethod(),
            io.grpc.stub.ServerCalls.asyncClientStreamingCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.CreatePersonaRequest,
                ai.sonichaos.render.v1.CreatePersonaResponse>(
                  this, METHODID_CREATE_PERSONA)))
          .addMethod(
            getDownloadPersonaClipMethod(),
            io.grpc.stub.ServerCalls.asyncServerStreamingCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.DownloadPersonaClipRequest,
                ai.sonichaos.render.v1.DownloadPersonaClipResponse>(
                  this, METHODID_DOWNLOAD_PERSONA_CLIP)))
          .addMethod(
            getDeletePersonaMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.DeletePersonaRequest,
                ai.sonichaos.render.v1.DeletePersonaResponse>(
                  this, METHODID_DELETE_PERSONA)))
          .addMethod(
            getListAuditRowsMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.ListAuditRowsRequest,
                ai.sonichaos.render.v1.ListAuditRowsResponse>(
                  this, METHODID_LIST_AUDIT_ROWS)))
          .addMethod(
            getVerifyAuditChainMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.VerifyAuditChainRequest,
                ai.sonichaos.render.v1.VerifyAuditChainResponse>(
                  this, METHODID_VERIFY_AUDIT_CHAIN)))
          .addMethod(
            getGetDriftReportMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.GetDriftReportRequest,
                ai.sonichaos.render.v1.GetDriftReportResponse>(
                  this, METHODID_GET_DRIFT_REPORT)))
          .addMethod(
            getReplayTakeMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.ReplayTakeRequest,
                ai.sonichaos.render.v1.ReplayTakeResponse>(
                  this, METHODID_REPLAY_TAKE)))
          .addMethod(
            getErasePromptMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.ErasePromptRequest,
                ai.sonichaos.render.v1.ErasePromptResponse>(
                  this, METHODID_ERASE_PROMPT)))
          .addMethod(
            getGetModelInfoMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.render.v1.GetModelInfoRequest,
                ai.sonichaos.render.v1.GetModelInfoResponse>(
                  this, METHODID_GET_MODEL_INFO)))
          .build();
    }
  }

  /**
   * <pre>
   * Renders takes from briefs, and keeps personas and audit rows.
   * </pre>
   */
  public static final class RenderServiceStub extends io.grpc.stub.AbstractAsyncStub<RenderServiceStub> {
    private RenderServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected RenderServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new RenderServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Creates a render job from a brief. Returns once the job is durable. Watch it with JobsService.
     * </pre>
     */
    public void createRender(ai.sonichaos.render.v1.CreateRenderRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.CreateRenderResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCreateRenderMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Re-renders one stem of a version that is done, as the job's next version. Returns once that version is durable.
     * </pre>
     */
    public void rerenderStem(ai.sonichaos.render.v1.RerenderStemRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.RerenderStemResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getRerenderStemMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Reports what the services read from a prompt: instruments, mood, tempo and key. Creates nothing.
     * </pre>
     */
    public void analyzePrompt(ai.sonichaos.render.v1.AnalyzePromptRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.AnalyzePromptResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getAnalyzePromptMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Estimates when a take would be done if it were requested now. Creates nothing.
     * </pre>
     */
    public void estimateRender(ai.sonichaos.render.v1.EstimateRenderRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.EstimateRenderResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getEstimateRenderMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Lists the built-in personas and those that the caller's tenant created, by id.
     * </pre>
     */
    public void listPersonas(ai.sonichaos.render.v1.ListPersonasRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.ListPersonasResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getListPersonasMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Returns one persona.
     * </pre>
     */
    public void getPersona(ai.sonichaos.render.v1.GetPersonaRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.GetPersonaResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getGetPersonaMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Creates a persona from reference clips: send the header first, then the clips one after another in chunks.
     * </pre>
     */
    public io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.CreatePersonaRequest> createPersona(
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.CreatePersonaResponse> responseObserver) {
      return io.grpc.stub.ClientCalls.asyncClientStreamingCall(
          getChannel().newCall(getCreatePersonaMethod(), getCallOptions()), responseObserver);
    }

    /**
     * <pre>
     * Downloads one reference clip of a persona, as it was sent.
     * </pre>
     */
    public void downloadPersonaClip(ai.sonichaos.render.v1.DownloadPersonaClipRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.DownloadPersonaClipResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getDownloadPersonaClipMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Deletes a persona that was created. The audit rows of its takes keep its embedding.
     * </pre>
     */
    public void deletePersona(ai.sonichaos.render.v1.DeletePersonaRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.DeletePersonaResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getDeletePersonaMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Lists the caller's audit rows, oldest first, of one job or of all.
     * </pre>
     */
    public void listAuditRows(ai.sonichaos.render.v1.ListAuditRowsRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.ListAuditRowsResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getListAuditRowsMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Verifies the caller's whole audit chain, and optionally that it contains an exported head.
     * </pre>
     */
    public void verifyAuditChain(ai.sonichaos.render.v1.VerifyAuditChainRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.VerifyAuditChainResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getVerifyAuditChainMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Reports how far re-rendered stems of one kind lie from the grid of their originals.
     * </pre>
     */
    public void getDriftReport(ai.sonichaos.render.v1.GetDriftReportRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.GetDriftReportResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getGetDriftReportMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Renders a version again from its audit row and compares the result with the stored bounce.
     * </pre>
     */
    public void replayTake(ai.sonichaos.render.v1.ReplayTakeRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.ReplayTakeResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getReplayTakeMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Erases a job's prompts from the journal, even if the job was deleted. The audit chain stays intact; the job can no longer be
     * replayed.
     * </pre>
     */
    public void erasePrompt(ai.sonichaos.render.v1.ErasePromptRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.ErasePromptResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getErasePromptMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Describes the loaded renderer.
     * </pre>
     */
    public void getModelInfo(ai.sonichaos.render.v1.GetModelInfoRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.GetModelInfoResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getGetModelInfoMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * <pre>
   * Renders takes from briefs, and keeps personas and audit rows.
   * </pre>
   */
  public static final class RenderServiceBlockingStub extends io.grpc.stub.AbstractBlockingStub<RenderServiceBlockingStub> {
    private RenderServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected RenderServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new RenderServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Creates a render job from a brief. Returns once the job is durable. Watch it with JobsService.
     * </pre>
     */
    public ai.sonichaos.render.v1.CreateRenderResponse createRender(ai.sonichaos.render.v1.CreateRenderRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCreateRenderMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Re-renders one stem of a version that is done, as the job's next version. Returns once that version is durable.
     * </pre>
     */
    public ai.sonichaos.render.v1.RerenderStemResponse rerenderStem(ai.sonichaos.render.v1.RerenderStemRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getRerenderStemMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Reports what the services read from a prompt: instruments, mood, tempo and key. Creates nothing.
     * </pre>
     */
    public ai.sonichaos.render.v1.AnalyzePromptResponse analyzePrompt(ai.sonichaos.render.v1.AnalyzePromptRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getAnalyzePromptMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Estimates when a take would be done if it were requested now. Creates nothing.
     * </pre>
     */
    public ai.sonichaos.render.v1.EstimateRenderResponse estimateRender(ai.sonichaos.render.v1.EstimateRenderRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getEstimateRenderMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Lists the built-in personas and those that the caller's tenant created, by id.
     * </pre>
     */
    public ai.sonichaos.render.v1.ListPersonasResponse listPersonas(ai.sonichaos.render.v1.ListPersonasRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getListPersonasMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns one persona.
     * </pre>
     */
    public ai.sonichaos.render.v1.GetPersonaResponse getPersona(ai.sonichaos.render.v1.GetPersonaRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getGetPersonaMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Downloads one reference clip of a persona, as it was sent.
     * </pre>
     */
    public java.util.Iterator<ai.sonichaos.render.v1.DownloadPersonaClipResponse> downloadPersonaClip(
        ai.sonichaos.render.v1.DownloadPersonaClipRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getDownloadPersonaClipMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Deletes a persona that was created. The audit rows of its takes keep its embedding.
     * </pre>
     */
    public ai.sonichaos.render.v1.DeletePersonaResponse deletePersona(ai.sonichaos.render.v1.DeletePersonaRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getDeletePersonaMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Lists the caller's audit rows, oldest first, of one job or of all.
     * </pre>
     */
    public ai.sonichaos.render.v1.ListAuditRowsResponse listAuditRows(ai.sonichaos.render.v1.ListAuditRowsRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getListAuditRowsMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Verifies the caller's whole audit chain, and optionally that it contains an exported head.
     * </pre>
     */
    public ai.sonichaos.render.v1.VerifyAuditChainResponse verifyAuditChain(ai.sonichaos.render.v1.VerifyAuditChainRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getVerifyAuditChainMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Reports how far re-rendered stems of one kind lie from the grid of their originals.
     * </pre>
     */
    public ai.sonichaos.render.v1.GetDriftReportResponse getDriftReport(ai.sonichaos.render.v1.GetDriftReportRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getGetDriftReportMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Renders a version again from its audit row and compares the result with the stored bounce.
     * </pre>
     */
    public ai.sonichaos.render.v1.ReplayTakeResponse replayTake(ai.sonichaos.render.v1.ReplayTakeRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getReplayTakeMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Erases a job's prompts from the journal, even if the job was deleted. The audit chain stays intact; the job can no longer be
     * replayed.
     * </pre>
     */
    public ai.sonichaos.render.v1.ErasePromptResponse erasePrompt(ai.sonichaos.render.v1.ErasePromptRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getErasePromptMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Describes the loaded renderer.
     * </pre>
     */
    public ai.sonichaos.render.v1.GetModelInfoResponse getModelInfo(ai.sonichaos.render.v1.GetModelInfoRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getGetModelInfoMethod(), getCallOptions(), request);
    }
  }

  /**
   * <pre>
   * Renders takes from briefs, and keeps personas and audit rows.
   * </pre>
   */
  public static final class RenderServiceFutureStub extends io.grpc.stub.AbstractFutureStub<RenderServiceFutureStub> {
    private RenderServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected RenderServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new RenderServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Creates a render job from a brief. Returns once the job is durable. Watch it with JobsService.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.render.v1.CreateRenderResponse> createRender(
        ai.sonichaos.render.v1.CreateRenderRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCreateRenderMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Re-renders one stem of a version that is done, as the job's next version. Returns once that version is durable.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.render.v1.RerenderStemResponse> rerenderStem(
        ai.sonichaos.render.v1.RerenderStemRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getRerenderStemMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Reports what the services read from a prompt: instruments, mood, tempo and key. Creates nothing.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.render.v1.AnalyzePromptResponse> analyzePrompt(
        ai.sonichaos.render.v1.AnalyzePromptRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getAnalyzePromptMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Estimates when a take would be done if it were requested now. Creates nothing.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.render.v1.EstimateRenderResponse> estimateRender(
        ai.sonichaos.render.v1.EstimateRenderRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getEstimateRenderMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Lists the built-in personas and those that the caller's tenant created, by id.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.render.v1.ListPersonasResponse> listPersonas(
        ai.sonichaos.render.v1.ListPersonasRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getListPersonasMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Returns one persona.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.render.v1.GetPersonaResponse> getPersona(
        ai.sonichaos.render.v1.GetPersonaRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getGetPersonaMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Deletes a persona that was created. The audit rows of its takes keep its embedding.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.render.v1.DeletePersonaResponse> deletePersona(
        ai.sonichaos.render.v1.DeletePersonaRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getDeletePersonaMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Lists the caller's audit rows, oldest first, of one job or of all.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.render.v1.ListAuditRowsResponse> listAuditRows(
        ai.sonichaos.render.v1.ListAuditRowsRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getListAuditRowsMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Verifies the caller's whole audit chain, and optionally that it contains an exported head.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.render.v1.VerifyAuditChainResponse> verifyAuditChain(
        ai.sonichaos.render.v1.VerifyAuditChainRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getVerifyAuditChainMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Reports how far re-rendered stems of one kind lie from the grid of their originals.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.render.v1.GetDriftReportResponse> getDriftReport(
        ai.sonichaos.render.v1.GetDriftReportRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getGetDriftReportMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Renders a version again from its audit row and compares the result with the stored bounce.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.render.v1.ReplayTakeResponse> replayTake(
        ai.sonichaos.render.v1.ReplayTakeRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getReplayTakeMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Erases a job's prompts from the journal, even if the job was deleted. The audit chain stays intact; the job can no longer be
     * replayed.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.render.v1.ErasePromptResponse> erasePrompt(
        ai.sonichaos.render.v1.ErasePromptRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getErasePromptMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Describes the loaded renderer.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.render.v1.GetModelInfoResponse> getModelInfo(
        ai.sonichaos.render.v1.GetModelInfoRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getGetModelInfoMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_CREATE_RENDER = 0;
  private static final int METHODID_RERENDER_STEM = 1;
  private static final int METHODID_ANALYZE_PROMPT = 2;
  private static final int METHODID_ESTIMATE_RENDER = 3;
  private static final int METHODID_LIST_PERSONAS = 4;
  private static final int METHODID_GET_PERSONA = 5;
  private static final int METHODID_DOWNLOAD_PERSONA_CLIP = 6;
  private static final int METHODID_DELETE_PERSONA = 7;
  private static final int METHODID_LIST_AUDIT_ROWS = 8;
  private static final int METHODID_VERIFY_AUDIT_CHAIN = 9;
  private static final int METHODID_GET_DRIFT_REPORT = 10;
  private static final int METHODID_REPLAY_TAKE = 11;
  private static final int METHODID_ERASE_PROMPT = 12;
  private static final int METHODID_GET_MODEL_INFO = 13;
  private static final int METHODID_CREATE_PERSONA = 14;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final RenderServiceImplBase serviceImpl;
    private final int methodId;

    MethodHandlers(RenderServiceImplBase serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_CREATE_RENDER:
          serviceImpl.createRender((ai.sonichaos.render.v1.CreateRenderRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.CreateRenderResponse>) responseObserver);
          break;
        case METHODID_RERENDER_STEM:
          serviceImpl.rerenderStem((ai.sonichaos.render.v1.RerenderStemRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.RerenderStemResponse>) responseObserver);
          break;
        case METHODID_ANALYZE_PROMPT:
          serviceImpl.analyzePrompt((ai.sonichaos.render.v1.AnalyzePromptRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.AnalyzePromptResponse>) responseObserver);
          break;
        case METHODID_ESTIMATE_RENDER:
          serviceImpl.estimateRender((ai.sonichaos.render.v1.EstimateRenderRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.EstimateRenderResponse>) responseObserver);
          break;
        case METHODID_LIST_PERSONAS:
          serviceImpl.listPersonas((ai.sonichaos.render.v1.ListPersonasRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.ListPersonasResponse>) responseObserver);
          break;
        case METHODID_GET_PERSONA:
          serviceImpl.getPersona((ai.sonichaos.render.v1.GetPersonaRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.GetPersonaResponse>) responseObserver);
          break;
        case METHODID_DOWNLOAD_PERSONA_CLIP:
          serviceImpl.downloadPersonaClip((ai.sonichaos.render.v1.DownloadPersonaClipRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.DownloadPersonaClipResponse>) responseObserver);
          break;
        case METHODID_DELETE_PERSONA:
          serviceImpl.deletePersona((ai.sonichaos.render.v1.DeletePersonaRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.DeletePersonaResponse>) responseObserver);
          break;
        case METHODID_LIST_AUDIT_ROWS:
          serviceImpl.listAuditRows((ai.sonichaos.render.v1.ListAuditRowsRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.ListAuditRowsResponse>) responseObserver);
          break;
        case METHODID_VERIFY_AUDIT_CHAIN:
          serviceImpl.verifyAuditChain((ai.sonichaos.render.v1.VerifyAuditChainRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.VerifyAuditChainResponse>) responseObserver);
          break;
        case METHODID_GET_DRIFT_REPORT:
          serviceImpl.getDriftReport((ai.sonichaos.render.v1.GetDriftReportRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.GetDriftReportResponse>) responseObserver);
          break;
        case METHODID_REPLAY_TAKE:
          serviceImpl.replayTake((ai.sonichaos.render.v1.ReplayTakeRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.ReplayTakeResponse>) responseObserver);
          break;
        case METHODID_ERASE_PROMPT:
          serviceImpl.erasePrompt((ai.sonichaos.render.v1.ErasePromptRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.ErasePromptResponse>) responseObserver);
          break;
        case METHODID_GET_MODEL_INFO:
          serviceImpl.getModelInfo((ai.sonichaos.render.v1.GetModelInfoRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.GetModelInfoResponse>) responseObserver);
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
        case METHODID_CREATE_PERSONA:
          return (io.grpc.stub.StreamObserver<Req>) serviceImpl.createPersona(
              (io.grpc.stub.StreamObserver<ai.sonichaos.render.v1.CreatePersonaResponse>) responseObserver);
        default:
          throw new AssertionError();
      }
    }
  }

  private static abstract class RenderServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    RenderServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return ai.sonichaos.render.v1.Render.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("RenderService");
    }
  }

  private static final class RenderServiceFileDescriptorSupplier
      extends RenderServiceBaseDescriptorSupplier {
    RenderServiceFileDescriptorSupplier() {}
  }

  private static final class RenderServiceMethodDescriptorSupplier
      extends RenderServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final String methodName;

    RenderServiceMethodDescriptorSupplier(String methodName) {
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
      synchronized (RenderServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new RenderServiceFileDescriptorSupplier())
              .addMethod(getCreateRenderMethod())
              .addMethod(getRerenderStemMethod())
              .addMethod(getAnalyzePromptMethod())
              .addMethod(getEstimateRenderMethod())
              .addMethod(getListPersonasMethod())
              .addMethod(getGetPersonaMethod())
              .addMethod(getCreatePersonaMethod())
              .addMethod(getDownloadPersonaClipMethod())
              .addMethod(getDeletePersonaMethod())
              .addMethod(getListAuditRowsMethod())
              .addMethod(getVerifyAuditChainMethod())
              .addMethod(getGetDriftReportMethod())
              .addMethod(getReplayTakeMethod())
              .addMethod(getErasePromptMethod())
              .addMethod(getGetModelInfoMethod())
              .build();
        }
      }
    }
    return result;
  }
}
