#!/usr/bin/env ruby
# frozen_string_literal: true

# What a client does in trouble that its caller can see:
#
#   client_faults.rb watch ADDRESS JOB_ID _           how often a block that raises is called, and what watch_job raises
#   client_faults.rb download URL SIZE SHA256 PATH    the first SIZE bytes; prints "saved", or "refused: " and why

require 'json'

require 'sonichaos/client'

def watch(address, job_id, _heartbeat)
  calls = 0
  Sonichaos.watch_job(Sonichaos::Connection.new(address).jobs, job_id) do
    calls += 1
    raise GRPC::Unavailable, 'of the handler'
  end
rescue GRPC::BadStatus => e
  puts JSON.generate(calls: calls, error: e.details)
end

def download(url, size, sha256, path)
  entry = Sonichaos::Jobs::V1::ZipEntry.new(name: 'vocals.wav', size_bytes: Integer(size), sha256: sha256)
  Sonichaos.download_entry(url, entry, path)
  puts 'saved'
rescue StandardError => e
  puts "refused: #{e.message}"
end

command, *arguments = ARGV
command == 'watch' ? watch(*arguments) : download(*arguments)
