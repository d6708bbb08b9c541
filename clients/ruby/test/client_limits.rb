#!/usr/bin/env ruby
# frozen_string_literal: true

# Facts about a client with the default options of its channel, as one JSON object:
#
#   client_limits.rb ADDRESS JOB_ID KEEPALIVE_SECONDS
#
# The job must not end. With KEEPALIVE_SECONDS above 0 it reports on keepalive only: one channel with a call and one without, for so
# many seconds.

require 'json'

require 'sonichaos/client'

include Sonichaos::Jobs::V1 # rubocop:disable Style/MixinUsage
include Sonichaos::Render::V1 # rubocop:disable Style/MixinUsage

def list_all(jobs)
  pages = []
  loop do
    pages << jobs.list_jobs(ListJobsRequest.new(page_size: 200, page_token: pages.last&.next_page_token.to_s))
    break if pages.last.next_page_token.empty?
  end
  { jobs: pages.sum { |page| page.jobs.size }, pages: pages.size }
end

def refusal(renders)
  labels = (0...32).to_h { |index| ["label#{index}", 'x' * 300] }
  renders.create_render(CreateRenderRequest.new(brief: Brief.new(prompt: 'p', persona_id: 'tone', labels: labels)))
rescue GRPC::BadStatus => e
  details = Sonichaos::ErrorDetails.of(e)
  { refusalCode: e.code, refusalReason: details.reason, namedViolations: details.violations.size,
    violations: details.metadata['violations'] }
end

# Follows a job that goes on until the deadline.
def watch(jobs, seconds, after_sequence)
  events = 0
  request = WatchJobRequest.new(job_id: ARGV[1], after_sequence: after_sequence)
  jobs.watch_job(request, deadline: Time.now + seconds).each { events += 1 }
rescue GRPC::BadStatus => e
  { watchCode: e.code, watchEvents: events }
end

def pinging(number)
  Sonichaos::Connection.new(
    ARGV[0],
    channel_args: {
      'grpc.keepalive_time_ms' => 10_000,
      'grpc.keepalive_permit_without_calls' => 1,
      'grpc.http2.max_pings_without_data' => 0,
      'test.number' => number # channels with other arguments do not share a connection
    }
  )
end

def keepalive(seconds)
  idle = pinging(1).channel
  ready = GRPC::Core::ConnectivityStates::READY
  until (state = idle.connectivity_state(true)) == ready
    idle.watch_connectivity_state(state, Time.now + 5)
  end
  watched = watch(pinging(2).jobs, seconds, 0)
  { watchCode: watched[:watchCode], idleConnected: idle.connectivity_state == ready }
end

seconds = Integer(ARGV[2])
if seconds.positive?
  puts JSON.generate(keepalive(seconds))
else
  connection = Sonichaos::Connection.new(ARGV[0])
  jobs = connection.jobs
  puts JSON.generate({ **list_all(jobs), **refusal(connection.renders), **watch(jobs, 1, (2**64) - 1) })
end
