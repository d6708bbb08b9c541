#include "sonichaos/download.h"

#include <curl/curl.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>
#include <system_error>

namespace sonichaos {
namespace {

constexpr long kConnectTimeoutSeconds = 10;
// A download that brings less than one byte a second for a minute is given up.
constexpr long kStalledSeconds = 60;
constexpr long kPartialContent = 206;

// Writes what arrives, and digests it.
class Sink {
 public:
  // "x": a file of that name, or a link that somebody has put there, is an error.
  Sink(const std::string& path, std::uint64_t limit_bytes)
      : file_(std::fopen(path.c_str(), "wbx"), &std::fclose),
        digest_(EVP_MD_CTX_new(), &EVP_MD_CTX_free),
        left_(limit_bytes) {
    if (!file_) throw std::runtime_error("cannot write " + path);
    EVP_DigestInit_ex(digest_.get(), EVP_sha256(), nullptr);
  }

  // False if the bytes are more than expected or cannot be written.
  bool Write(const char* bytes, std::size_t size) {
    if (size > left_) return false;
    left_ -= size;
    EVP_DigestUpdate(digest_.get(), bytes, size);
    return std::fwrite(bytes, 1, size, file_.get()) == size;
  }

  // Closes the file. Lower-case hex digits of the SHA-256; empty if a write failed.
  std::string Close() {
    const bool is_complete = std::fclose(file_.release()) == 0;
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(digest_.get(), bytes.data(), &size);
    std::string text;
    for (unsigned int index = 0; index < size; ++index) {
      constexpr char kDigits[] = "0123456789abcdef";
      text += kDigits[bytes[index] >> 4U];
      text += kDigits[bytes[index] & 15U];
    }
    return is_complete ? text : "";
  }

 private:
  std::unique_ptr<std::FILE, decltype(&std::fclose)> file_;
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest_;
  std::uint64_t left_;
};

// Of its own: another download to the same path does not write to the same file.
std::string PartOf(const std::string& path) {
  std::random_device random;
  return path + "." + std::to_string(random()) + std::to_string(random()) + ".part";
}

std::size_t OnBytes(char* bytes, std::size_t size, std::size_t count, void* sink) {
  return static_cast<Sink*>(sink)->Write(bytes, size * count) ? size * count : 0;
}

void Fetch(const std::string& url, const jobs::v1::ZipEntry& entry, const std::string& part,
           const std::string& ca_file) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> request(curl_easy_init(), &curl_easy_cleanup);
  if (!request) throw std::runtime_error("libcurl cannot be initialized");
  Sink sink(part, entry.size_bytes());
  const std::string range =
      std::to_string(entry.offset_bytes()) + "-" + std::to_string(entry.offset_bytes() + entry.size_bytes() - 1);
  std::array<char, CURL_ERROR_SIZE> problem{};
  curl_easy_setopt(request.get(), CURLOPT_URL, url.c_str());
  // libcurl also reads files of this machine.
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(request.get(), CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(request.get(), CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
  curl_easy_setopt(request.get(), CURLOPT_RANGE, range.c_str());
  curl_easy_setopt(request.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(request.get(), CURLOPT_CONNECTTIMEOUT, kConnectTimeoutSeconds);
  curl_easy_setopt(request.get(), CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(request.get(), CURLOPT_LOW_SPEED_TIME, kStalledSeconds);
  curl_easy_setopt(request.get(), CURLOPT_ERRORBUFFER, problem.data());
  curl_easy_setopt(request.get(), CURLOPT_WRITEFUNCTION, &OnBytes);
  curl_easy_setopt(request.get(), CURLOPT_WRITEDATA, &sink);
  if (!ca_file.empty()) curl_easy_setopt(request.get(), CURLOPT_CAINFO, ca_file.c_str());
  const CURLcode result = curl_easy_perform(request.get());
  long status = 0;
  curl_easy_getinfo(request.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != kPartialContent && status != 0) {
    throw std::runtime_error(entry.name() + ": expected HTTP 206, got " + std::to_string(status) +
                             "; request a new signed URL");
  }
  if (result != CURLE_OK) throw std::runtime_error(entry.name() + ": " + problem.data());
  const std::string sha256 = sink.Close();
  if (sha256 != entry.sha256()) {
    throw std::runtime_error(entry.name() + ": expected SHA-256 " + entry.sha256() + ", got " + sha256);
  }
}

}  // namespace

void DownloadEntry(const std::string& url, const jobs::v1::ZipEntry& entry, const std::string& path,
                   const std::string& ca_file) {
  const std::string part = PartOf(path);
  try {
    Fetch(url, entry, part, ca_file);
    std::filesystem::rename(part, path);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(part, ignored);
    throw;
  }
}

}  // namespace sonichaos
