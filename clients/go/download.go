package sonichaos

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	jobsv1 "sonichaos.ai/client/gen/sonichaos/jobs/v1"
)

// DownloadEntry downloads one file out of a ZIP with a Range request. url is a signed URL of the ZIP, ca the PEM of the authority of
// an https URL (empty: the public authorities). Nothing is left at path if the download fails, also if the bytes do not have the
// SHA-256 of the entry.
func DownloadEntry(ctx context.Context, url string, entry *jobsv1.ZipEntry, path string, ca []byte) (err error) {
	part := path + ".part"
	file, err := os.Create(part)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part)
		}
	}()
	err = fetchRange(ctx, url, entry, file, ca)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(part, path)
}

func fetchRange(ctx context.Context, url string, entry *jobsv1.ZipEntry, file io.Writer, ca []byte) error {
	pool, err := authorities(ca)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	last := entry.GetOffsetBytes() + entry.GetSizeBytes() - 1
	request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", entry.GetOffsetBytes(), last))
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig:       &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		ResponseHeaderTimeout: time.Minute,
	}}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusPartialContent {
		return fmt.Errorf("%s: expected HTTP 206, got %d; request a new signed URL", entry.GetName(), response.StatusCode)
	}
	digest := sha256.New()
	if _, err := io.Copy(io.MultiWriter(file, digest), response.Body); err != nil {
		return err
	}
	if found := hex.EncodeToString(digest.Sum(nil)); found != entry.GetSha256() {
		return fmt.Errorf("%s: expected SHA-256 %s, got %s", entry.GetName(), entry.GetSha256(), found)
	}
	return nil
}
