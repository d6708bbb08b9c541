# frozen_string_literal: true

require 'sonichaos/jobs/v1/error_reason_pb'
require 'sonichaos/jobs/v1/jobs_service_services_pb'
require 'sonichaos/render/v1/render_services_pb'
require 'sonichaos/separation/v1/separation_services_pb'

require 'sonichaos/connection'
require 'sonichaos/download'
require 'sonichaos/error_details'
require 'sonichaos/watch_job'
