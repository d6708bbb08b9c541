#!/usr/bin/env ruby
# frozen_string_literal: true

# Renders a take, follows it through a cut connection, downloads the vocals out of the ZIP, renders them again, and downloads those.
#
#   ruby -Ilib -Igen examples/whole_flow.rb --address 127.0.0.1:50071 --seconds 8 --out out
#
# Progress goes to stdout; its last line is one JSON object.

require 'fileutils'
require 'json'
require 'optparse'
require 'securerandom'

require 'sonichaos/client'

include Sonichaos::Jobs::V1 # rubocop:disable Style/MixinUsage
include Sonichaos::Render::V1 # rubocop:disable Style/MixinUsage

CUT_AFTER = 3
SEED = 7

options = {
  address: '127.0.0.1:50071', prompt: 'slow dusty boom bap with a warm bass', seconds: 8.0
}
OptionParser.new do |parser|
  parser.on('--address ADDRESS', 'render_service: https://host:port, host:port or unix:///path')
  parser.on('--separation-address ADDRESS', 'separation_service; only uploads need it')
  parser.on('--ca FILE', 'PEM of the authority that signed the certificates of the services')
  parser.on('--api-key-file FILE')
  parser.on('--prompt TEXT')
  parser.on('--persona ID', 'default: the first one')
  parser.on('--seconds S', Float)
  parser.on('--out DIR')
end.parse!(into: options)
abort '--out DIR is required' unless options[:out]

ca = options[:ca] && File.read(options[:ca])
api_key = options[:'api-key-file'] && File.read(options[:'api-key-file']).strip
begin
  connection = Sonichaos::Connection.new(options[:address], ca: ca, api_key: api_key)
  renders = connection.renders
  jobs = connection.jobs

  # The version, which must be done.
  finished = lambda do |job_id, number|
    version = jobs.get_job(GetJobRequest.new(job_id: job_id)).job.versions[number - 1]
    abort "v#{number}: expected DONE, got #{version.state}: #{version.error&.message}" if version.state != :JOB_STATE_DONE
    puts "v#{number} is done: ZIP with SHA-256 #{version.files.zip.sha256}"
    version
  end

  # One stem of the ZIP, by a Range request. Returns the digest, with which the file was compared.
  FileUtils.mkdir_p(options[:out])
  download = lambda do |job_id, version, name|
    entry = version.files.zip_entries.find { |one| one.name == name }
    signed = jobs.create_signed_url(CreateSignedUrlRequest.new(job_id: job_id, version: version.number, kind: :FILE_KIND_ZIP))
    path = File.join(options[:out], "#{job_id}-v#{version.number}-#{name}")
    Sonichaos.download_entry(signed.url, entry, path, ca_file: options[:ca])
    puts "#{path}: SHA-256 #{entry.sha256}, as stored"
    entry.sha256
  end

  # A repeated call with the same request id returns the same job: a retry creates nothing twice.
  persona = options[:persona] || renders.list_personas(ListPersonasRequest.new).personas.first.id
  request = CreateRenderRequest.new(
    request_id: SecureRandom.hex(16),
    brief: Brief.new(prompt: options[:prompt], persona_id: persona, seed: SEED, seconds: options[:seconds], stems: true)
  )
  job_id = renders.create_render(request).job.job_id
  abort 'a retry created another job' if renders.create_render(request).job.job_id != job_id
  # An id of a server becomes part of a path here, so its form is checked.
  abort "expected an id such as j-..., got #{job_id}" unless job_id.match?(/\Aj-[0-9a-z]{26}\z/)
  puts "job #{job_id}"

  # The stream is cut once on purpose. Sequence numbers have no gaps, so a lost or repeated event would show.
  sequences = []
  resumed_after = nil
  show = lambda do |event, stream|
    sequences << event.sequence
    progress = event.kind == :EVENT_KIND_PROGRESS
    puts "#{event.sequence} v#{event.version} " +
         (progress ? "#{event.stage} #{(100 * event.fraction).round} %" : "#{event.kind} #{event.state}")
    stream.cancel if sequences.size == CUT_AFTER
  end
  on_disconnect = lambda do |after, error|
    resumed_after ||= after
    puts "disconnected after event #{after} (#{error.details}), watching on"
  end
  Sonichaos.watch_job(jobs, job_id, version: 1, on_disconnect: on_disconnect, &show)
  abort 'expected a disconnect, got none' if resumed_after.nil?

  stem_sha256 = download.call(job_id, finished.call(job_id, 1), 'vocals.wav')

  # An example keeps the stem even if its timing exceeds the limits.
  again = renders.rerender_stem(
    RerenderStemRequest.new(request_id: SecureRandom.hex(16), job_id: job_id, base_version: 1, stem: :STEM_VOCALS,
                            seed: SEED + 1, allow_drift: true)
  )
  Sonichaos.watch_job(jobs, job_id, version: again.version, after_sequence: sequences.last, on_disconnect: on_disconnect,
                      &show)
  download.call(job_id, finished.call(job_id, again.version), 'vocals.wav')
  abort "expected events without gaps, got #{sequences}" if sequences != (1..sequences.size).to_a

  puts JSON.generate(jobId: job_id, versions: [1, again.version], stem: 'vocals', stemSha256: stem_sha256,
                     events: sequences.size, resumedAfter: resumed_after)
rescue GRPC::BadStatus => e
  abort "#{options[:address]}: #{e.details}"
end
