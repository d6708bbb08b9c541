package ai.sonichaos.jobs.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Read, watch, cancel and delete jobs. render_service and separation_service both serve it, each for the jobs that it owns.
 * Where a request has a `version`, 0 means the newest version that has what the call needs; each field says which. Pass 1 for the original.
 * </pre>
 */
@javax.annotation.Generated(
    value = "by gRPC proto compiler",
    comments = "Source: sonichaos/jobs/v1/jobs_service.proto")
@io.grpc.stub.annotations.GrpcGenerated
public final class JobsServiceGrpc {

  private JobsServiceGrpc() {}

  public static final String SERVICE_NAME = "sonichaos.jobs.v1.JobsService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.GetJobRequest,
      ai.sonichaos.jobs.v1.GetJobResponse> getGetJobMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "GetJob",
      requestType = ai.sonichaos.jobs.v1.GetJobRequest.class,
      responseType = ai.sonichaos.jobs.v1.GetJobResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.GetJobRequest,
      ai.sonichaos.jobs.v1.GetJobResponse> getGetJobMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.GetJobRequest, ai.sonichaos.jobs.v1.GetJobResponse> getGetJobMethod;
    if ((getGetJobMethod = JobsServiceGrpc.getGetJobMethod) == null) {
      synchronized (JobsServiceGrpc.class) {
        if ((getGetJobMethod = JobsServiceGrpc.getGetJobMethod) == null) {
          JobsServiceGrpc.getGetJobMethod = getGetJobMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.jobs.v1.GetJobRequest, ai.sonichaos.jobs.v1.GetJobResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "GetJob"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.GetJobRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.GetJobResponse.getDefaultInstance()))
              .setSchemaDescriptor(new JobsServiceMethodDescriptorSupplier("GetJob"))
              .build();
        }
      }
    }
    return getGetJobMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.ListJobsRequest,
      ai.sonichaos.jobs.v1.ListJobsResponse> getListJobsMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ListJobs",
      requestType = ai.sonichaos.jobs.v1.ListJobsRequest.class,
      responseType = ai.sonichaos.jobs.v1.ListJobsResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.ListJobsRequest,
      ai.sonichaos.jobs.v1.ListJobsResponse> getListJobsMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.ListJobsRequest, ai.sonichaos.jobs.v1.ListJobsResponse> getListJobsMethod;
    if ((getListJobsMethod = JobsServiceGrpc.getListJobsMethod) == null) {
      synchronized (JobsServiceGrpc.class) {
        if ((getListJobsMethod = JobsServiceGrpc.getListJobsMethod) == null) {
          JobsServiceGrpc.getListJobsMethod = getListJobsMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.jobs.v1.ListJobsRequest, ai.sonichaos.jobs.v1.ListJobsResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ListJobs"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.ListJobsRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.ListJobsResponse.getDefaultInstance()))
              .setSchemaDescriptor(new JobsServiceMethodDescriptorSupplier("ListJobs"))
              .build();
        }
      }
    }
    return getListJobsMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.WatchJobRequest,
      ai.sonichaos.jobs.v1.WatchJobResponse> getWatchJobMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "WatchJob",
      requestType = ai.sonichaos.jobs.v1.WatchJobRequest.class,
      responseType = ai.sonichaos.jobs.v1.WatchJobResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.WatchJobRequest,
      ai.sonichaos.jobs.v1.WatchJobResponse> getWatchJobMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.WatchJobRequest, ai.sonichaos.jobs.v1.WatchJobResponse> getWatchJobMethod;
    if ((getWatchJobMethod = JobsServiceGrpc.getWatchJobMethod) == null) {
      synchronized (JobsServiceGrpc.class) {
        if ((getWatchJobMethod = JobsServiceGrpc.getWatchJobMethod) == null) {
          JobsServiceGrpc.getWatchJobMethod = getWatchJobMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.jobs.v1.WatchJobRequest, ai.sonichaos.jobs.v1.WatchJobResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "WatchJob"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.WatchJobRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.WatchJobResponse.getDefaultInstance()))
              .setSchemaDescriptor(new JobsServiceMethodDescriptorSupplier("WatchJob"))
              .build();
        }
      }
    }
    return getWatchJobMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.WatchJobsRequest,
      ai.sonichaos.jobs.v1.WatchJobsResponse> getWatchJobsMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "WatchJobs",
      requestType = ai.sonichaos.jobs.v1.WatchJobsRequest.class,
      responseType = ai.sonichaos.jobs.v1.WatchJobsResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.WatchJobsRequest,
      ai.sonichaos.jobs.v1.WatchJobsResponse> getWatchJobsMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.WatchJobsRequest, ai.sonichaos.jobs.v1.WatchJobsResponse> getWatchJobsMethod;
    if ((getWatchJobsMethod = JobsServiceGrpc.getWatchJobsMethod) == null) {
      synchronized (JobsServiceGrpc.class) {
        if ((getWatchJobsMethod = JobsServiceGrpc.getWatchJobsMethod) == null) {
          JobsServiceGrpc.getWatchJobsMethod = getWatchJobsMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.jobs.v1.WatchJobsRequest, ai.sonichaos.jobs.v1.WatchJobsResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "WatchJobs"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.WatchJobsRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.WatchJobsResponse.getDefaultInstance()))
              .setSchemaDescriptor(new JobsServiceMethodDescriptorSupplier("WatchJobs"))
              .build();
        }
      }
    }
    return getWatchJobsMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.CancelJobRequest,
      ai.sonichaos.jobs.v1.CancelJobResponse> getCancelJobMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "CancelJob",
      requestType = ai.sonichaos.jobs.v1.CancelJobRequest.class,
      responseType = ai.sonichaos.jobs.v1.CancelJobResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.CancelJobRequest,
      ai.sonichaos.jobs.v1.CancelJobResponse> getCancelJobMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.CancelJobRequest, ai.sonichaos.jobs.v1.CancelJobResponse> getCancelJobMethod;
    if ((getCancelJobMethod = JobsServiceGrpc.getCancelJobMethod) == null) {
      synchronized (JobsServiceGrpc.class) {
        if ((getCancelJobMethod = JobsServiceGrpc.getCancelJobMethod) == null) {
          JobsServiceGrpc.getCancelJobMethod = getCancelJobMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.jobs.v1.CancelJobRequest, ai.sonichaos.jobs.v1.CancelJobResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "CancelJob"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.CancelJobRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.CancelJobResponse.getDefaultInstance()))
              .setSchemaDescriptor(new JobsServiceMethodDescriptorSupplier("CancelJob"))
              .build();
        }
      }
    }
    return getCancelJobMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.DeleteJobRequest,
      ai.sonichaos.jobs.v1.DeleteJobResponse> getDeleteJobMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "DeleteJob",
      requestType = ai.sonichaos.jobs.v1.DeleteJobRequest.class,
      responseType = ai.sonichaos.jobs.v1.DeleteJobResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.DeleteJobRequest,
      ai.sonichaos.jobs.v1.DeleteJobResponse> getDeleteJobMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.DeleteJobRequest, ai.sonichaos.jobs.v1.DeleteJobResponse> getDeleteJobMethod;
    if ((getDeleteJobMethod = JobsServiceGrpc.getDeleteJobMethod) == null) {
      synchronized (JobsServiceGrpc.class) {
        if ((getDeleteJobMethod = JobsServiceGrpc.getDeleteJobMethod) == null) {
          JobsServiceGrpc.getDeleteJobMethod = getDeleteJobMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.jobs.v1.DeleteJobRequest, ai.sonichaos.jobs.v1.DeleteJobResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "DeleteJob"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.DeleteJobRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.DeleteJobResponse.getDefaultInstance()))
              .setSchemaDescriptor(new JobsServiceMethodDescriptorSupplier("DeleteJob"))
              .build();
        }
      }
    }
    return getDeleteJobMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.DeleteVersionRequest,
      ai.sonichaos.jobs.v1.DeleteVersionResponse> getDeleteVersionMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "DeleteVersion",
      requestType = ai.sonichaos.jobs.v1.DeleteVersionRequest.class,
      responseType = ai.sonichaos.jobs.v1.DeleteVersionResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.DeleteVersionRequest,
      ai.sonichaos.jobs.v1.DeleteVersionResponse> getDeleteVersionMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.DeleteVersionRequest, ai.sonichaos.jobs.v1.DeleteVersionResponse> getDeleteVersionMethod;
    if ((getDeleteVersionMethod = JobsServiceGrpc.getDeleteVersionMethod) == null) {
      synchronized (JobsServiceGrpc.class) {
        if ((getDeleteVersionMethod = JobsServiceGrpc.getDeleteVersionMethod) == null) {
          JobsServiceGrpc.getDeleteVersionMethod = getDeleteVersionMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.jobs.v1.DeleteVersionRequest, ai.sonichaos.jobs.v1.DeleteVersionResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "DeleteVersion"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.DeleteVersionRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.DeleteVersionResponse.getDefaultInstance()))
              .setSchemaDescriptor(new JobsServiceMethodDescriptorSupplier("DeleteVersion"))
              .build();
        }
      }
    }
    return getDeleteVersionMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.EraseJobRequest,
      ai.sonichaos.jobs.v1.EraseJobResponse> getEraseJobMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "EraseJob",
      requestType = ai.sonichaos.jobs.v1.EraseJobRequest.class,
      responseType = ai.sonichaos.jobs.v1.EraseJobResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.EraseJobRequest,
      ai.sonichaos.jobs.v1.EraseJobResponse> getEraseJobMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.EraseJobRequest, ai.sonichaos.jobs.v1.EraseJobResponse> getEraseJobMethod;
    if ((getEraseJobMethod = JobsServiceGrpc.getEraseJobMethod) == null) {
      synchronized (JobsServiceGrpc.class) {
        if ((getEraseJobMethod = JobsServiceGrpc.getEraseJobMethod) == null) {
          JobsServiceGrpc.getEraseJobMethod = getEraseJobMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.jobs.v1.EraseJobRequest, ai.sonichaos.jobs.v1.EraseJobResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "EraseJob"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.EraseJobRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.EraseJobResponse.getDefaultInstance()))
              .setSchemaDescriptor(new JobsServiceMethodDescriptorSupplier("EraseJob"))
              .build();
        }
      }
    }
    return getEraseJobMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.AddStemsRequest,
      ai.sonichaos.jobs.v1.AddStemsResponse> getAddStemsMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "AddStems",
      requestType = ai.sonichaos.jobs.v1.AddStemsRequest.class,
      responseType = ai.sonichaos.jobs.v1.AddStemsResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.AddStemsRequest,
      ai.sonichaos.jobs.v1.AddStemsResponse> getAddStemsMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.AddStemsRequest, ai.sonichaos.jobs.v1.AddStemsResponse> getAddStemsMethod;
    if ((getAddStemsMethod = JobsServiceGrpc.getAddStemsMethod) == null) {
      synchronized (JobsServiceGrpc.class) {
        if ((getAddStemsMethod = JobsServiceGrpc.getAddStemsMethod) == null) {
          JobsServiceGrpc.getAddStemsMethod = getAddStemsMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.jobs.v1.AddStemsRequest, ai.sonichaos.jobs.v1.AddStemsResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "AddStems"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.AddStemsRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.AddStemsResponse.getDefaultInstance()))
              .setSchemaDescriptor(new JobsServiceMethodDescriptorSupplier("AddStems"))
              .build();
        }
      }
    }
    return getAddStemsMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.RetryVersionRequest,
      ai.sonichaos.jobs.v1.RetryVersionResponse> getRetryVersionMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "RetryVersion",
      requestType = ai.sonichaos.jobs.v1.RetryVersionRequest.class,
      responseType = ai.sonichaos.jobs.v1.RetryVersionResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.RetryVersionRequest,
      ai.sonichaos.jobs.v1.RetryVersionResponse> getRetryVersionMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.RetryVersionRequest, ai.sonichaos.jobs.v1.RetryVersionResponse> getRetryVersionMethod;
    if ((getRetryVersionMethod = JobsServiceGrpc.getRetryVersionMethod) == null) {
      synchronized (JobsServiceGrpc.class) {
        if ((getRetryVersionMethod = JobsServiceGrpc.getRetryVersionMethod) == null) {
          JobsServiceGrpc.getRetryVersionMethod = getRetryVersionMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.jobs.v1.RetryVersionRequest, ai.sonichaos.jobs.v1.RetryVersionResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "RetryVersion"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.RetryVersionRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.RetryVersionResponse.getDefaultInstance()))
              .setSchemaDescriptor(new JobsServiceMethodDescriptorSupplier("RetryVersion"))
              .build();
        }
      }
    }
    return getRetryVersionMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.CreateSignedUrlRequest,
      ai.sonichaos.jobs.v1.CreateSignedUrlResponse> getCreateSignedUrlMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "CreateSignedUrl",
      requestType = ai.sonichaos.jobs.v1.CreateSignedUrlRequest.class,
      responseType = ai.sonichaos.jobs.v1.CreateSignedUrlResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.CreateSignedUrlRequest,
      ai.sonichaos.jobs.v1.CreateSignedUrlResponse> getCreateSignedUrlMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.CreateSignedUrlRequest, ai.sonichaos.jobs.v1.CreateSignedUrlResponse> getCreateSignedUrlMethod;
    if ((getCreateSignedUrlMethod = JobsServiceGrpc.getCreateSignedUrlMethod) == null) {
      synchronized (JobsServiceGrpc.class) {
        if ((getCreateSignedUrlMethod = JobsServiceGrpc.getCreateSignedUrlMethod) == null) {
          JobsServiceGrpc.getCreateSignedUrlMethod = getCreateSignedUrlMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.jobs.v1.CreateSignedUrlRequest, ai.sonichaos.jobs.v1.CreateSignedUrlResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "CreateSignedUrl"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.CreateSignedUrlRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.CreateSignedUrlResponse.getDefaultInstance()))
              .setSchemaDescriptor(new JobsServiceMethodDescriptorSupplier("CreateSignedUrl"))
              .build();
        }
      }
    }
    return getCreateSignedUrlMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.GetWaveformsRequest,
      ai.sonichaos.jobs.v1.GetWaveformsResponse> getGetWaveformsMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "GetWaveforms",
      requestType = ai.sonichaos.jobs.v1.GetWaveformsRequest.class,
      responseType = ai.sonichaos.jobs.v1.GetWaveformsResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.GetWaveformsRequest,
      ai.sonichaos.jobs.v1.GetWaveformsResponse> getGetWaveformsMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.GetWaveformsRequest, ai.sonichaos.jobs.v1.GetWaveformsResponse> getGetWaveformsMethod;
    if ((getGetWaveformsMethod = JobsServiceGrpc.getGetWaveformsMethod) == null) {
      synchronized (JobsServiceGrpc.class) {
        if ((getGetWaveformsMethod = JobsServiceGrpc.getGetWaveformsMethod) == null) {
          JobsServiceGrpc.getGetWaveformsMethod = getGetWaveformsMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.jobs.v1.GetWaveformsRequest, ai.sonichaos.jobs.v1.GetWaveformsResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "GetWaveforms"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.GetWaveformsRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.GetWaveformsResponse.getDefaultInstance()))
              .setSchemaDescriptor(new JobsServiceMethodDescriptorSupplier("GetWaveforms"))
              .build();
        }
      }
    }
    return getGetWaveformsMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.GetUsageRequest,
      ai.sonichaos.jobs.v1.GetUsageResponse> getGetUsageMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "GetUsage",
      requestType = ai.sonichaos.jobs.v1.GetUsageRequest.class,
      responseType = ai.sonichaos.jobs.v1.GetUsageResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.GetUsageRequest,
      ai.sonichaos.jobs.v1.GetUsageResponse> getGetUsageMethod() {
    io.grpc.MethodDescriptor<ai.sonichaos.jobs.v1.GetUsageRequest, ai.sonichaos.jobs.v1.GetUsageResponse> getGetUsageMethod;
    if ((getGetUsageMethod = JobsServiceGrpc.getGetUsageMethod) == null) {
      synchronized (JobsServiceGrpc.class) {
        if ((getGetUsageMethod = JobsServiceGrpc.getGetUsageMethod) == null) {
          JobsServiceGrpc.getGetUsageMethod = getGetUsageMethod =
              io.grpc.MethodDescriptor.<ai.sonichaos.jobs.v1.GetUsageRequest, ai.sonichaos.jobs.v1.GetUsageResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "GetUsage"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.GetUsageRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.sonichaos.jobs.v1.GetUsageResponse.getDefaultInstance()))
              .setSchemaDescriptor(new JobsServiceMethodDescriptorSupplier("GetUsage"))
              .build();
        }
      }
    }
    return getGetUsageMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static JobsServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<JobsServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<JobsServiceStub>() {
        @java.lang.Override
        public JobsServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new JobsServiceStub(channel, callOptions);
        }
      };
    return JobsServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static JobsServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<JobsServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<JobsServiceBlockingStub>() {
        @java.lang.Override
        public JobsServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new JobsServiceBlockingStub(channel, callOptions);
        }
      };
    return JobsServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static JobsServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<JobsServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<JobsServiceFutureStub>() {
        @java.lang.Override
        public JobsServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new JobsServiceFutureStub(channel, callOptions);
        }
      };
    return JobsServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Read, watch, cancel and delete jobs. render_service and separation_service both serve it, each for the jobs that it owns.
   * Where a request has a `version`, 0 means the newest version that has what the call needs; each field says which. Pass 1 for the original.
   * </pre>
   */
  public static abstract class JobsServiceImplBase implements io.grpc.BindableService {

    /**
     * <pre>
     * Returns one job.
     * </pre>
     */
    public void getJob(ai.sonichaos.jobs.v1.GetJobRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.GetJobResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetJobMethod(), responseObserver);
    }

    /**
     * <pre>
     * Lists the caller's jobs, newest first.
     * </pre>
     */
    public void listJobs(ai.sonichaos.jobs.v1.ListJobsRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.ListJobsResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getListJobsMethod(), responseObserver);
    }

    /**
     * <pre>
     * Streams events after `after_sequence`, stored ones first, then live; closes with OK when the version reaches a final state.
     * </pre>
     */
    public void watchJob(ai.sonichaos.jobs.v1.WatchJobRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.WatchJobResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getWatchJobMethod(), responseObserver);
    }

    /**
     * <pre>
     * Streams the events of all of the caller's jobs that this service owns, after a cursor. Never closes by itself.
     * </pre>
     */
    public void watchJobs(ai.sonichaos.jobs.v1.WatchJobsRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.WatchJobsResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getWatchJobsMethod(), responseObserver);
    }

    /**
     * <pre>
     * Cancels a version. Returns at once; the version goes through CANCELLING to CANCELLED. A final version stays as it is.
     * </pre>
     */
    public void cancelJob(ai.sonichaos.jobs.v1.CancelJobRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.CancelJobResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCancelJobMethod(), responseObserver);
    }

    /**
     * <pre>
     * Deletes a job and its files. All of its versions must be in a final state. Its audit rows stay. Its request ids are free again: a call
     * that repeats one makes a new job.
     * </pre>
     */
    public void deleteJob(ai.sonichaos.jobs.v1.DeleteJobRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.DeleteJobResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getDeleteJobMethod(), responseObserver);
    }

    /**
     * <pre>
     * Deletes the files of one re-rendered version, which must be in a final state. The version stays listed with its `delete_time`; its
     * number is never used again and its audit rows stay. The original is deleted with its job only. Can be repeated.
     * </pre>
     */
    public void deleteVersion(ai.sonichaos.jobs.v1.DeleteVersionRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.DeleteVersionResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getDeleteVersionMethod(), responseObserver);
    }

    /**
     * <pre>
     * Erases a job: as DeleteJob, and beside its audit rows the prompt, labels, licensee, prefix of the persona and name of the uploaded
     * file, also of a job that was deleted before. The audit chain stays intact. The erasure is recorded before anything is erased, so
     * the service finishes it by itself. Can be repeated.
     * </pre>
     */
    public void eraseJob(ai.sonichaos.jobs.v1.EraseJobRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.EraseJobResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getEraseJobMethod(), responseObserver);
    }

    /**
     * <pre>
     * Requests stems for a version that has none, or whose stems failed.
     * </pre>
     */
    public void addStems(ai.sonichaos.jobs.v1.AddStemsRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.AddStemsResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getAddStemsMethod(), responseObserver);
    }

    /**
     * <pre>
     * Queues a failed version again, as after TOO_MANY_ATTEMPTS. It resumes after what was stored, and no longer expires.
     * </pre>
     */
    public void retryVersion(ai.sonichaos.jobs.v1.RetryVersionRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.RetryVersionResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getRetryVersionMethod(), responseObserver);
    }

    /**
     * <pre>
     * Creates a URL that fetches one stored file with GET or HEAD, Range included, until it expires.
     * </pre>
     */
    public void createSignedUrl(ai.sonichaos.jobs.v1.CreateSignedUrlRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.CreateSignedUrlResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCreateSignedUrlMethod(), responseObserver);
    }

    /**
     * <pre>
     * Returns the peaks of a version's audio files, to draw their waveforms without a download.
     * </pre>
     */
    public void getWaveforms(ai.sonichaos.jobs.v1.GetWaveformsRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.GetWaveformsResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetWaveformsMethod(), responseObserver);
    }

    /**
     * <pre>
     * Returns the limits of the caller, and how much of each its tenant has used.
     * </pre>
     */
    public void getUsage(ai.sonichaos.jobs.v1.GetUsageRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.GetUsageResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetUsageMethod(), responseObserver);
    }

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
          .addMethod(
            getGetJobMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.jobs.v1.GetJobRequest,
                ai.sonichaos.jobs.v1.GetJobResponse>(
                  this, METHODID_GET_JOB)))
          .addMethod(
            getListJobsMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.jobs.v1.ListJobsRequest,
                ai.sonichaos.jobs.v1.ListJobsResponse>(
                  this, METHODID_LIST_JOBS)))
          .addMethod(
            getWatchJobMethod(),
            io.grpc.stub.ServerCalls.asyncServerStreamingCall(
              new MethodHandlers<
                ai.sonichaos.jobs.v1.WatchJobRequest,
                ai.sonichaos.jobs.v1.WatchJobResponse>(
                  this, METHODID_WATCH_JOB)))
          .addMethod(
            getWatchJobsMethod(),
            io.grpc.stub.ServerCalls.asyncServerStreamingCall(
              new MethodHandlers<
                ai.sonichaos.jobs.v1.WatchJobsRequest,
                ai.sonichaos.jobs.v1.WatchJobsResponse>(
                  this, METHODID_WATCH_JOBS)))
          .addMethod(
            getCancelJobMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.jobs.v1.CancelJobRequest,
                ai.sonichaos.jobs.v1.CancelJobResponse>(
                  this, METHODID_CANCEL_JOB)))
          .addMethod(
            getDeleteJobMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.jobs.v1.DeleteJobRequest,
                ai.sonichaos.jobs.v1.DeleteJobResponse>(
                  this, METHODID_DELETE_JOB)))
          .addMethod(
            getDeleteVersionMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.jobs.v1.DeleteVersionRequest,
                ai.sonichaos.jobs.v1.DeleteVersionResponse>(
                  this, METHODID_DELETE_VERSION)))
          .addMethod(
            getEraseJobMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.jobs.v1.EraseJobRequest,
                ai.sonichaos.jobs.v1.EraseJobResponse>(
                  this, METHODID_ERASE_JOB)))
          .addMethod(
            getAddStemsMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.jobs.v1.AddStemsRequest,
                ai.sonichaos.jobs.v1.AddStemsResponse>(
                  this, METHODID_ADD_STEMS)))
          .addMethod(
            getRetryVersionMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.jobs.v1.RetryVersionRequest,
                ai.sonichaos.jobs.v1.RetryVersionResponse>(
                  this, METHODID_RETRY_VERSION)))
          .addMethod(
            getCreateSignedUrlMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.jobs.v1.CreateSignedUrlRequest,
                ai.sonichaos.jobs.v1.CreateSignedUrlResponse>(
                  this, METHODID_CREATE_SIGNED_URL)))
          .addMethod(
            getGetWaveformsMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.jobs.v1.GetWaveformsRequest,
                ai.sonichaos.jobs.v1.GetWaveformsResponse>(
                  this, METHODID_GET_WAVEFORMS)))
          .addMethod(
            getGetUsageMethod(),
            io.grpc.stub.ServerCalls.asyncUnaryCall(
              new MethodHandlers<
                ai.sonichaos.jobs.v1.GetUsageRequest,
                ai.sonichaos.jobs.v1.GetUsageResponse>(
                  this, METHODID_GET_USAGE)))
          .build();
    }
  }

  /**
   * <pre>
   * Read, watch, cancel and delete jobs. render_service and separation_service both serve it, each for the jobs that it owns.
   * Where a request has a `version`, 0 means the newest version that has what the call needs; each field says which. Pass 1 for the original.
   * </pre>
   */
  public static final class JobsServiceStub extends io.grpc.stub.AbstractAsyncStub<JobsServiceStub> {
    private JobsServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected JobsServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new JobsServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Returns one job.
     * </pre>
     */
    public void getJob(ai.sonichaos.jobs.v1.GetJobRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.GetJobResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getGetJobMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Lists the caller's jobs, newest first.
     * </pre>
     */
    public void listJobs(ai.sonichaos.jobs.v1.ListJobsRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.ListJobsResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getListJobsMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Streams events after `after_sequence`, stored ones first, then live; closes with OK when the version reaches a final state.
     * </pre>
     */
    public void watchJob(ai.sonichaos.jobs.v1.WatchJobRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.WatchJobResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getWatchJobMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Streams the events of all of the caller's jobs that this service owns, after a cursor. Never closes by itself.
     * </pre>
     */
    public void watchJobs(ai.sonichaos.jobs.v1.WatchJobsRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.WatchJobsResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getWatchJobsMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Cancels a version. Returns at once; the version goes through CANCELLING to CANCELLED. A final version stays as it is.
     * </pre>
     */
    public void cancelJob(ai.sonichaos.jobs.v1.CancelJobRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.CancelJobResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCancelJobMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Deletes a job and its files. All of its versions must be in a final state. Its audit rows stay. Its request ids are free again: a call
     * that repeats one makes a new job.
     * </pre>
     */
    public void deleteJob(ai.sonichaos.jobs.v1.DeleteJobRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.DeleteJobResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getDeleteJobMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Deletes the files of one re-rendered version, which must be in a final state. The version stays listed with its `delete_time`; its
     * number is never used again and its audit rows stay. The original is deleted with its job only. Can be repeated.
     * </pre>
     */
    public void deleteVersion(ai.sonichaos.jobs.v1.DeleteVersionRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.DeleteVersionResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getDeleteVersionMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Erases a job: as DeleteJob, and beside its audit rows the prompt, labels, licensee, prefix of the persona and name of the uploaded
     * file, also of a job that was deleted before. The audit chain stays intact. The erasure is recorded before anything is erased, so
     * the service finishes it by itself. Can be repeated.
     * </pre>
     */
    public void eraseJob(ai.sonichaos.jobs.v1.EraseJobRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.EraseJobResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getEraseJobMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Requests stems for a version that has none, or whose stems failed.
     * </pre>
     */
    public void addStems(ai.sonichaos.jobs.v1.AddStemsRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.AddStemsResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getAddStemsMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Queues a failed version again, as after TOO_MANY_ATTEMPTS. It resumes after what was stored, and no longer expires.
     * </pre>
     */
    public void retryVersion(ai.sonichaos.jobs.v1.RetryVersionRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.RetryVersionResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getRetryVersionMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Creates a URL that fetches one stored file with GET or HEAD, Range included, until it expires.
     * </pre>
     */
    public void createSignedUrl(ai.sonichaos.jobs.v1.CreateSignedUrlRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.CreateSignedUrlResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCreateSignedUrlMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Returns the peaks of a version's audio files, to draw their waveforms without a download.
     * </pre>
     */
    public void getWaveforms(ai.sonichaos.jobs.v1.GetWaveformsRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.GetWaveformsResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getGetWaveformsMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Returns the limits of the caller, and how much of each its tenant has used.
     * </pre>
     */
    public void getUsage(ai.sonichaos.jobs.v1.GetUsageRequest request,
        io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.GetUsageResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getGetUsageMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * <pre>
   * Read, watch, cancel and delete jobs. render_service and separation_service both serve it, each for the jobs that it owns.
   * Where a request has a `version`, 0 means the newest version that has what the call needs; each field says which. Pass 1 for the original.
   * </pre>
   */
  public static final class JobsServiceBlockingStub extends io.grpc.stub.AbstractBlockingStub<JobsServiceBlockingStub> {
    private JobsServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected JobsServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new JobsServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Returns one job.
     * </pre>
     */
    public ai.sonichaos.jobs.v1.GetJobResponse getJob(ai.sonichaos.jobs.v1.GetJobRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getGetJobMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Lists the caller's jobs, newest first.
     * </pre>
     */
    public ai.sonichaos.jobs.v1.ListJobsResponse listJobs(ai.sonichaos.jobs.v1.ListJobsRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getListJobsMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Streams events after `after_sequence`, stored ones first, then live; closes with OK when the version reaches a final state.
     * </pre>
     */
    public java.util.Iterator<ai.sonichaos.jobs.v1.WatchJobResponse> watchJob(
        ai.sonichaos.jobs.v1.WatchJobRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getWatchJobMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Streams the events of all of the caller's jobs that this service owns, after a cursor. Never closes by itself.
     * </pre>
     */
    public java.util.Iterator<ai.sonichaos.jobs.v1.WatchJobsResponse> watchJobs(
        ai.sonichaos.jobs.v1.WatchJobsRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getWatchJobsMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Cancels a version. Returns at once; the version goes through CANCELLING to CANCELLED. A final version stays as it is.
     * </pre>
     */
    public ai.sonichaos.jobs.v1.CancelJobResponse cancelJob(ai.sonichaos.jobs.v1.CancelJobRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCancelJobMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Deletes a job and its files. All of its versions must be in a final state. Its audit rows stay. Its request ids are free again: a call
     * that repeats one makes a new job.
     * </pre>
     */
    public ai.sonichaos.jobs.v1.DeleteJobResponse deleteJob(ai.sonichaos.jobs.v1.DeleteJobRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getDeleteJobMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Deletes the files of one re-rendered version, which must be in a final state. The version stays listed with its `delete_time`; its
     * number is never used again and its audit rows stay. The original is deleted with its job only. Can be repeated.
     * </pre>
     */
    public ai.sonichaos.jobs.v1.DeleteVersionResponse deleteVersion(ai.sonichaos.jobs.v1.DeleteVersionRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getDeleteVersionMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Erases a job: as DeleteJob, and beside its audit rows the prompt, labels, licensee, prefix of the persona and name of the uploaded
     * file, also of a job that was deleted before. The audit chain stays intact. The erasure is recorded before anything is erased, so
     * the service finishes it by itself. Can be repeated.
     * </pre>
     */
    public ai.sonichaos.jobs.v1.EraseJobResponse eraseJob(ai.sonichaos.jobs.v1.EraseJobRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getEraseJobMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Requests stems for a version that has none, or whose stems failed.
     * </pre>
     */
    public ai.sonichaos.jobs.v1.AddStemsResponse addStems(ai.sonichaos.jobs.v1.AddStemsRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getAddStemsMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Queues a failed version again, as after TOO_MANY_ATTEMPTS. It resumes after what was stored, and no longer expires.
     * </pre>
     */
    public ai.sonichaos.jobs.v1.RetryVersionResponse retryVersion(ai.sonichaos.jobs.v1.RetryVersionRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getRetryVersionMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Creates a URL that fetches one stored file with GET or HEAD, Range included, until it expires.
     * </pre>
     */
    public ai.sonichaos.jobs.v1.CreateSignedUrlResponse createSignedUrl(ai.sonichaos.jobs.v1.CreateSignedUrlRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCreateSignedUrlMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns the peaks of a version's audio files, to draw their waveforms without a download.
     * </pre>
     */
    public ai.sonichaos.jobs.v1.GetWaveformsResponse getWaveforms(ai.sonichaos.jobs.v1.GetWaveformsRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getGetWaveformsMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns the limits of the caller, and how much of each its tenant has used.
     * </pre>
     */
    public ai.sonichaos.jobs.v1.GetUsageResponse getUsage(ai.sonichaos.jobs.v1.GetUsageRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getGetUsageMethod(), getCallOptions(), request);
    }
  }

  /**
   * <pre>
   * Read, watch, cancel and delete jobs. render_service and separation_service both serve it, each for the jobs that it owns.
   * Where a request has a `version`, 0 means the newest version that has what the call needs; each field says which. Pass 1 for the original.
   * </pre>
   */
  public static final class JobsServiceFutureStub extends io.grpc.stub.AbstractFutureStub<JobsServiceFutureStub> {
    private JobsServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected JobsServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new JobsServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Returns one job.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.jobs.v1.GetJobResponse> getJob(
        ai.sonichaos.jobs.v1.GetJobRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getGetJobMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Lists the caller's jobs, newest first.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.jobs.v1.ListJobsResponse> listJobs(
        ai.sonichaos.jobs.v1.ListJobsRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getListJobsMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Cancels a version. Returns at once; the version goes through CANCELLING to CANCELLED. A final version stays as it is.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.jobs.v1.CancelJobResponse> cancelJob(
        ai.sonichaos.jobs.v1.CancelJobRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCancelJobMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Deletes a job and its files. All of its versions must be in a final state. Its audit rows stay. Its request ids are free again: a call
     * that repeats one makes a new job.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.jobs.v1.DeleteJobResponse> deleteJob(
        ai.sonichaos.jobs.v1.DeleteJobRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getDeleteJobMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Deletes the files of one re-rendered version, which must be in a final state. The version stays listed with its `delete_time`; its
     * number is never used again and its audit rows stay. The original is deleted with its job only. Can be repeated.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.jobs.v1.DeleteVersionResponse> deleteVersion(
        ai.sonichaos.jobs.v1.DeleteVersionRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getDeleteVersionMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Erases a job: as DeleteJob, and beside its audit rows the prompt, labels, licensee, prefix of the persona and name of the uploaded
     * file, also of a job that was deleted before. The audit chain stays intact. The erasure is recorded before anything is erased, so
     * the service finishes it by itself. Can be repeated.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.jobs.v1.EraseJobResponse> eraseJob(
        ai.sonichaos.jobs.v1.EraseJobRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getEraseJobMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Requests stems for a version that has none, or whose stems failed.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.jobs.v1.AddStemsResponse> addStems(
        ai.sonichaos.jobs.v1.AddStemsRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getAddStemsMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Queues a failed version again, as after TOO_MANY_ATTEMPTS. It resumes after what was stored, and no longer expires.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.jobs.v1.RetryVersionResponse> retryVersion(
        ai.sonichaos.jobs.v1.RetryVersionRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getRetryVersionMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Creates a URL that fetches one stored file with GET or HEAD, Range included, until it expires.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.jobs.v1.CreateSignedUrlResponse> createSignedUrl(
        ai.sonichaos.jobs.v1.CreateSignedUrlRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCreateSignedUrlMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Returns the peaks of a version's audio files, to draw their waveforms without a download.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.jobs.v1.GetWaveformsResponse> getWaveforms(
        ai.sonichaos.jobs.v1.GetWaveformsRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getGetWaveformsMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Returns the limits of the caller, and how much of each its tenant has used.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.sonichaos.jobs.v1.GetUsageResponse> getUsage(
        ai.sonichaos.jobs.v1.GetUsageRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getGetUsageMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_GET_JOB = 0;
  private static final int METHODID_LIST_JOBS = 1;
  private static final int METHODID_WATCH_JOB = 2;
  private static final int METHODID_WATCH_JOBS = 3;
  private static final int METHODID_CANCEL_JOB = 4;
  private static final int METHODID_DELETE_JOB = 5;
  private static final int METHODID_DELETE_VERSION = 6;
  private static final int METHODID_ERASE_JOB = 7;
  private static final int METHODID_ADD_STEMS = 8;
  private static final int METHODID_RETRY_VERSION = 9;
  private static final int METHODID_CREATE_SIGNED_URL = 10;
  private static final int METHODID_GET_WAVEFORMS = 11;
  private static final int METHODID_GET_USAGE = 12;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final JobsServiceImplBase serviceImpl;
    private final int methodId;

    MethodHandlers(JobsServiceImplBase serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_GET_JOB:
          serviceImpl.getJob((ai.sonichaos.jobs.v1.GetJobRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.GetJobResponse>) responseObserver);
          break;
        case METHODID_LIST_JOBS:
          serviceImpl.listJobs((ai.sonichaos.jobs.v1.ListJobsRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.ListJobsResponse>) responseObserver);
          break;
        case METHODID_WATCH_JOB:
          serviceImpl.watchJob((ai.sonichaos.jobs.v1.WatchJobRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.WatchJobResponse>) responseObserver);
          break;
        case METHODID_WATCH_JOBS:
          serviceImpl.watchJobs((ai.sonichaos.jobs.v1.WatchJobsRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.WatchJobsResponse>) responseObserver);
          break;
        case METHODID_CANCEL_JOB:
          serviceImpl.cancelJob((ai.sonichaos.jobs.v1.CancelJobRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.CancelJobResponse>) responseObserver);
          break;
        case METHODID_DELETE_JOB:
          serviceImpl.deleteJob((ai.sonichaos.jobs.v1.DeleteJobRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.DeleteJobResponse>) responseObserver);
          break;
        case METHODID_DELETE_VERSION:
          serviceImpl.deleteVersion((ai.sonichaos.jobs.v1.DeleteVersionRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.DeleteVersionResponse>) responseObserver);
          break;
        case METHODID_ERASE_JOB:
          serviceImpl.eraseJob((ai.sonichaos.jobs.v1.EraseJobRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.EraseJobResponse>) responseObserver);
          break;
        case METHODID_ADD_STEMS:
          serviceImpl.addStems((ai.sonichaos.jobs.v1.AddStemsRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.AddStemsResponse>) responseObserver);
          break;
        case METHODID_RETRY_VERSION:
          serviceImpl.retryVersion((ai.sonichaos.jobs.v1.RetryVersionRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.RetryVersionResponse>) responseObserver);
          break;
        case METHODID_CREATE_SIGNED_URL:
          serviceImpl.createSignedUrl((ai.sonichaos.jobs.v1.CreateSignedUrlRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.CreateSignedUrlResponse>) responseObserver);
          break;
        case METHODID_GET_WAVEFORMS:
          serviceImpl.getWaveforms((ai.sonichaos.jobs.v1.GetWaveformsRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.GetWaveformsResponse>) responseObserver);
          break;
        case METHODID_GET_USAGE:
          serviceImpl.getUsage((ai.sonichaos.jobs.v1.GetUsageRequest) request,
              (io.grpc.stub.StreamObserver<ai.sonichaos.jobs.v1.GetUsageResponse>) responseObserver);
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

  private static abstract class JobsServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    JobsServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return ai.sonichaos.jobs.v1.JobsServiceOuterClass.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("JobsService");
    }
  }

  private static final class JobsServiceFileDescriptorSupplier
      extends JobsServiceBaseDescriptorSupplier {
    JobsServiceFileDescriptorSupplier() {}
  }

  private static final class JobsServiceMethodDescriptorSupplier
      extends JobsServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final String methodName;

    JobsServiceMethodDescriptorSupplier(String methodName) {
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
      synchronized (JobsServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new JobsServiceFileDescriptorSupplier())
              .addMethod(getGetJobMethod())
              .addMethod(getListJobsMethod())
              .addMethod(getWatchJobMethod())
              .addMethod(getWatchJobsMethod())
              .addMethod(getCancelJobMethod())
              .addMethod(getDeleteJobMethod())
              .addMethod(getDeleteVersionMethod())
              .addMethod(getEraseJobMethod())
              .addMethod(getAddStemsMethod())
              .addMethod(getRetryVersionMethod())
              .addMethod(getCreateSignedUrlMethod())
              .addMethod(getGetWaveformsMethod())
              .addMethod(getGetUsageMethod())
              .build();
        }
      }
    }
    return result;
  }
}
