package sonichaos

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// ErrorDetails are what the services say about an error: see docs/errors.md.
type ErrorDetails struct {
	// Reason is the name of an ErrorReason without its prefix, such as "JOB_NOT_FOUND". Empty if no service raised the error.
	Reason   string
	Metadata map[string]string
	// Violations are the rejected fields with their descriptions.
	Violations []*errdetails.BadRequest_FieldViolation
	// CanRetry says whether a retry can help, after RetryAfter.
	CanRetry   bool
	RetryAfter time.Duration
}

// DetailsOf returns the details of an error of a call.
func DetailsOf(err error) ErrorDetails {
	var found ErrorDetails
	for _, detail := range status.Convert(err).Details() {
		switch message := detail.(type) {
		case *errdetails.ErrorInfo:
			found.Reason, found.Metadata = message.GetReason(), message.GetMetadata()
		case *errdetails.BadRequest:
			found.Violations = message.GetFieldViolations()
		case *errdetails.RetryInfo:
			delay := message.GetRetryDelay()
			found.CanRetry = true
			found.RetryAfter = time.Duration(delay.GetSeconds())*time.Second + time.Duration(delay.GetNanos())
		}
	}
	return found
}
