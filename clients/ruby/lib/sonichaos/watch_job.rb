# frozen_string_literal: true

require 'sonichaos/error_details'

# Calls of the services with more than a stub does.
module Sonichaos
  INITIAL_BACKOFF_S = 0.2
  MAX_BACKOFF_S = 5.0
  MAX_RETRY_DELAY_S = 120.0
  HEARTBEAT_SECONDS = 20 # below the 60 s after which proxies end a quiet stream
  RESUMABLE_WITHOUT_REASON = [GRPC::Aborted, GRPC::Cancelled, GRPC::Internal, GRPC::Unknown].freeze
  private_constant :INITIAL_BACKOFF_S, :MAX_BACKOFF_S, :MAX_RETRY_DELAY_S, :HEARTBEAT_SECONDS, :RESUMABLE_WITHOUT_REASON

  # Yields every event of a job, once and in order, until the version (0: the newest) reaches a final state, with the stream that it
  # came on, which may be cancelled. Reopens a broken stream after the last event, by the rules of docs/errors.md. Calls
  # `on_disconnect` after each disconnect with the sequence number that the next stream resumes after, and the error. Raises
  # GRPC::BadStatus if the stream cannot be resumed, and what the block raises.
  def self.watch_job(jobs, job_id, version: 0, after_sequence: 0, on_disconnect: nil, max_retries: 20, &on_event)
    request = Jobs::V1::WatchJobRequest.new(job_id: job_id, version: version, after_sequence: after_sequence,
                                            heartbeat_seconds: HEARTBEAT_SECONDS)
    retries = 0
    on_progress = -> { retries = 0 }
    until (error = read_stream(jobs, request, on_progress, &on_event)).nil?
      retries += 1
      details = ErrorDetails.of(error)
      raise error if !resumable?(error, details) || retries > max_retries

      on_disconnect&.call(request.after_sequence, error)
      backoff = [INITIAL_BACKOFF_S * (2**(retries - 1)), MAX_BACKOFF_S].min
      sleep([[backoff, details.retry_after || 0].max, MAX_RETRY_DELAY_S].min)
    end
  end

  # Reads one stream to its end, and returns the error that it ended with, if any. `request` then names the last event. Calls
  # `on_progress` for each event and heartbeat.
  def self.read_stream(jobs, request, on_progress)
    is_handling = false # an error of the block is not one of the stream
    stream = jobs.watch_job(request, return_op: true)
    stream.execute.each do |response|
      event = response.event
      next if event && event.sequence <= request.after_sequence

      on_progress.call
      next if event.nil? # a heartbeat

      request.after_sequence = event.sequence
      is_handling = true
      yield event, stream
      is_handling = false
    end
    nil
  rescue GRPC::BadStatus => e
    raise if is_handling

    e
  ensure
    stream&.cancel
  end
  private_class_method :read_stream

  # Whether a stream that ended so may be resumed. An error that a service raised has a reason.
  def self.resumable?(error, details)
    return true if error.is_a?(GRPC::Unavailable) || details.retry_after

    details.reason.nil? && RESUMABLE_WITHOUT_REASON.any? { |type| error.is_a?(type) }
  end
  private_class_method :resumable?
end
