#!/usr/bin/env ruby
# frozen_string_literal: true

# What a client reads through one address that serves both services, as one JSON object:
#
#   one_address.rb ADDRESS TAKE_ID UPLOAD_ID
#
# The upload's job has ended.

require 'json'

require 'sonichaos/client'

address, take_id, upload_id = ARGV
takes = Sonichaos::Connection.new(address, service: :render).jobs
uploads = Sonichaos::Connection.new(address, service: :separation).jobs
read = ->(jobs, job_id) { jobs.get_job(Sonichaos::Jobs::V1::GetJobRequest.new(job_id: job_id)).job.job_id }
events = 0
Sonichaos.watch_job(uploads, upload_id) { events += 1 }
puts JSON.generate(take: read.call(takes, take_id), upload: read.call(uploads, upload_id), events: events)
