# frozen_string_literal: true

require 'google/protobuf/well_known_types'
require 'google/rpc/error_details_pb'
require 'grpc'

module Sonichaos
  # What the services say about an error: see docs/errors.md. `reason` is nil if no service raised the error, `retry_after`
  # (seconds) is nil if a retry cannot help. `violations` are the rejected fields with their descriptions, as an array of pairs.
  ErrorDetails = Struct.new(:reason, :metadata, :violations, :retry_after, keyword_init: true) do
    # The details of a GRPC::BadStatus.
    def self.of(error)
      found = new(metadata: {}, violations: [])
      (error.to_rpc_status&.details || []).each { |detail| found.add(detail) }
      found
    end

    def add(detail)
      if (info = detail.unpack(Google::Rpc::ErrorInfo))
        self.reason = info.reason
        self.metadata = info.metadata.to_h
      elsif (bad_request = detail.unpack(Google::Rpc::BadRequest))
        self.violations = bad_request.field_violations.map { |one| [one.field, one.description] }
      elsif (retry_info = detail.unpack(Google::Rpc::RetryInfo))
        self.retry_after = retry_info.retry_delay.to_f
      end
    end
  end
end
