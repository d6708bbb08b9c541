#pragma once

#include <string>

#include "sonichaos/jobs/v1/job.pb.h"

namespace sonichaos {

// Downloads one file out of a ZIP with a Range request. `url` is a signed URL of the ZIP, `ca_file` the PEM file of the
// authority of an https URL (empty: the public authorities). A file at `path` is replaced; if the download fails, it
// stays. Throws std::runtime_error, also if the bytes do not have the size and the SHA-256 of the entry.
void DownloadEntry(const std::string& url, const jobs::v1::ZipEntry& entry, const std::string& path,
                   const std::string& ca_file = "");

}  // namespace sonichaos
