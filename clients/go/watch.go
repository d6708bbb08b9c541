package sonichaos

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	jobsv1 "sonichaos.ai/client/gen/sonichaos/jobs/v1"
)

const (
	initialBackoff = 200 * time.Millisecond
	maxBackoff     = 5 * time.Second
	maxRetryDelay  = 2 * time.Minute
	// Below the 60 s after which proxies end a quiet stream.
	defaultHeartbeatSeconds = 20
	missedHeartbeats        = 3
	maxRetries              = 20
)

// WatchOptions are options of WatchJob. Their zero values are the defaults.
type WatchOptions struct {
	// Version is the version whose final state ends the watch. 0: the newest version at the time of the call.
	Version uint32
	// AfterSequence is the sequence number of the last event that the caller has. 0: all events.
	AfterSequence uint64
	// HeartbeatSeconds is after how many seconds of silence the service sends a heartbeat. After three times as many the stream is
	// reopened: the connection is dead, although nothing says so. 0: 20.
	HeartbeatSeconds uint32
	// OnDisconnect is called after each disconnect with the sequence number that the next stream resumes after.
	OnDisconnect func(afterSequence uint64, err error)
}

// WatchJob passes every event of a job to onEvent, once and in order, until the version reaches a final state. cut breaks the stream
// that the event came on. WatchJob reopens a broken stream after the last event, by the rules of docs/errors.md; it returns the error
// of a stream that cannot be resumed, that of onEvent, or that of ctx.
func WatchJob(
	ctx context.Context,
	jobs jobsv1.JobsServiceClient,
	jobID string,
	options WatchOptions,
	onEvent func(event *jobsv1.JobEvent, cut context.CancelFunc) error,
) error {
	after, retries, backoff := options.AfterSequence, 0, initialBackoff
	request := &jobsv1.WatchJobRequest{JobId: jobID, Version: options.Version, HeartbeatSeconds: options.HeartbeatSeconds}
	if request.HeartbeatSeconds == 0 {
		request.HeartbeatSeconds = defaultHeartbeatSeconds
	}
	for {
		request.AfterSequence = after
		next, progressed, err := watchOnce(ctx, jobs, request, onEvent)
		var own handlerError
		if errors.As(err, &own) {
			return own.error
		}
		if progressed {
			retries, backoff = 0, initialBackoff
		}
		after = next
		details := DetailsOf(err)
		retries++
		if err == nil || ctx.Err() != nil || !isResumable(err, details) || retries > maxRetries {
			return err
		}
		if options.OnDisconnect != nil {
			options.OnDisconnect(after, err)
		}
		delay := backoff
		if details.RetryAfter > delay {
			delay = details.RetryAfter
		}
		if delay > maxRetryDelay {
			delay = maxRetryDelay
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
		}
		if backoff *= 2; backoff > maxBackoff {
			backoff = maxBackoff
		}
	}
}

// handlerError is an error of onEvent. It may have a status of gRPC, and is still not one of the stream.
type handlerError struct{ error }

// watchOnce reads one stream to its end and returns the sequence number of the last event, and whether there was an event or a
// heartbeat.
func watchOnce(
	ctx context.Context,
	jobs jobsv1.JobsServiceClient,
	request *jobsv1.WatchJobRequest,
	onEvent func(event *jobsv1.JobEvent, cut context.CancelFunc) error,
) (uint64, bool, error) {
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	after, limit := request.GetAfterSequence(), missedHeartbeats*time.Duration(request.GetHeartbeatSeconds())*time.Second
	silence := time.AfterFunc(limit, cut)
	defer silence.Stop()
	stream, err := jobs.WatchJob(ctx, request)
	if err != nil {
		return after, false, err
	}
	for progressed := false; ; silence.Reset(limit) {
		response, err := stream.Recv()
		silence.Stop() // the handler may take its time
		if errors.Is(err, io.EOF) {
			return after, progressed, nil
		}
		if err != nil {
			return after, progressed, err
		}
		event := response.GetEvent()
		if event != nil && event.GetSequence() <= after {
			continue
		}
		progressed = true
		if event == nil { // a heartbeat
			continue
		}
		after = event.GetSequence()
		if err := onEvent(event, cut); err != nil {
			return after, progressed, handlerError{err}
		}
	}
}

// isResumable says whether a stream that ended so may be resumed. An error that a service raised has a reason.
func isResumable(err error, details ErrorDetails) bool {
	code := status.Code(err)
	if code == codes.Unavailable || details.CanRetry {
		return true
	}
	switch code {
	case codes.Aborted, codes.Canceled, codes.Internal, codes.Unknown:
		return details.Reason == ""
	default:
		return false
	}
}
