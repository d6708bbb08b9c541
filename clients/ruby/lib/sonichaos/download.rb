# frozen_string_literal: true

require 'digest'
require 'fileutils'
require 'net/http'
require 'securerandom'
require 'uri'

# Calls of the services with more than a stub does.
module Sonichaos
  # Downloads one file out of a ZIP with a Range request. `url` is a signed URL of the ZIP, `entry` one of its `zip_entries`,
  # `ca_file` the PEM file of the authority of an https URL (nil: the public authorities). A file at `path` is replaced; if the
  # download fails, it stays. Raises RuntimeError if the bytes do not have the entry's size and SHA-256, and the errors of
  # Net::HTTP.
  def self.download_entry(url, entry, path, ca_file: nil)
    # A name of its own: another download to the same path does not write to it, and it is no link that somebody has put there.
    part = "#{path}.#{SecureRandom.hex(8)}.part"
    mode = File::WRONLY | File::CREAT | File::EXCL | File::BINARY
    sha256 = File.open(part, mode) { |file| fetch_range(URI(url), entry, file, ca_file) }
    raise "#{entry.name}: expected SHA-256 #{entry.sha256}, got #{sha256}" if sha256 != entry.sha256

    File.rename(part, path)
  ensure
    FileUtils.rm_f(part)
  end

  def self.fetch_range(uri, entry, file, ca_file)
    digest = Digest::SHA256.new
    request = Net::HTTP::Get.new(uri)
    request['Range'] = "bytes=#{entry.offset_bytes}-#{entry.offset_bytes + entry.size_bytes - 1}"
    options = { use_ssl: uri.scheme == 'https', ca_file: ca_file, open_timeout: 10, read_timeout: 60 }
    Net::HTTP.start(uri.hostname, uri.port, **options) do |http|
      http.request(request) do |response|
        unless response.is_a?(Net::HTTPPartialContent)
          raise "#{entry.name}: expected HTTP 206, got #{response.code}; request a new signed URL"
        end

        response.read_body do |bytes|
          digest << bytes
          raise "#{entry.name}: expected #{entry.size_bytes} bytes, got more" if file.pos + bytes.bytesize > entry.size_bytes

          file.write(bytes)
        end
      end
    end
    digest.hexdigest
  end
  private_class_method :fetch_range
end
