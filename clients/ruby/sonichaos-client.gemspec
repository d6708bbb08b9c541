# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = 'sonichaos-client'
  spec.version = '0.1.0'
  spec.summary = 'Ruby client of SONICHAOS AI Studio: generated stubs, watching across disconnects, checked downloads'
  spec.authors = ['the SONICHAOS AI Studio authors']
  spec.license = 'Apache-2.0'
  spec.required_ruby_version = '>= 3.1'
  spec.files = Dir['gen/**/*.rb', 'lib/**/*.rb', 'README.md']
  spec.require_paths = %w[lib gen]
  spec.metadata = { 'rubygems_mfa_required' => 'true' }
  spec.add_runtime_dependency 'googleapis-common-protos-types', '>= 1.4', '< 2'
  spec.add_runtime_dependency 'google-protobuf', '>= 3.21', '< 4'
  spec.add_runtime_dependency 'grpc', '>= 1.51', '< 2'
end
