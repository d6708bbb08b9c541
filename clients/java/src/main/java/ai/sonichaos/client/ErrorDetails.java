package ai.sonichaos.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import com.google.rpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * What the services say about an error: see docs/errors.md.
 *
 * @param reason name of an ErrorReason without its prefix, such as JOB_NOT_FOUND; empty if no service raised the error
 * @param violations the rejected fields with their descriptions
 * @param retryAfter how long to wait before a retry; null if a retry cannot help
 */
public record ErrorDetails(
    String reason, Map<String, String> metadata, List<BadRequest.FieldViolation> violations, Duration retryAfter) {

  /** The details of the error of a call. */
  public static ErrorDetails of(Throwable error) {
    String reason = "";
    Map<String, String> metadata = Map.of();
    List<BadRequest.FieldViolation> violations = List.of();
    Duration retryAfter = null;
    Status status = StatusProto.fromThrowable(error);
    try {
      for (Any detail : status == null ? List.<Any>of() : status.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          reason = detail.unpack(ErrorInfo.class).getReason();
          metadata = detail.unpack(ErrorInfo.class).getMetadataMap();
        } else if (detail.is(BadRequest.class)) {
          violations = detail.unpack(BadRequest.class).getFieldViolationsList();
        } else if (detail.is(RetryInfo.class)) {
          com.google.protobuf.Duration delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        }
      }
    } catch (InvalidProtocolBufferException malformed) {
      throw new IllegalArgumentException("the details of the error are malformed", malformed);
    }
    return new ErrorDetails(reason, metadata, violations, retryAfter);
  }
}
