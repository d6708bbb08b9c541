package sonichaos

import (
	"context"
	"crypto/rand"
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
// an https URL (empty: the public authorities). A file at path is replaced. If the download fails, path stays as it was, also if the
// bytes do not have the size and the SHA-256 of the entry.
func DownloadEntry(ctx context.Context, url string, entry *jobsv1.ZipEntry, path string, ca []byte) (err error) {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return err
	}
	// A name of its own: another download to the same path does not write to it, and it is no link that somebody has put there.
	part := path + "." + hex.EncodeToString(random[:]) + ".part"
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
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
	client := http.Client{
		Transport: &http.Transport{
			TLSClientConfig:       &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			ResponseHeaderTimeout: time.Minute,
		},
		// A redirect could leave HTTPS.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
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
	// One byte more than expected shows that there are more.
	limited := io.LimitReader(response.Body, int64(entry.GetSizeBytes())+1)
	size, err := io.Copy(io.MultiWriter(file, digest), limited)
	if err != nil {
		return err
	}
	if uint64(size) > entry.GetSizeBytes() {
		return fmt.Errorf("%s: expected %d bytes, got more", entry.GetName(), entry.GetSizeBytes())
	}
	if found := hex.EncodeToString(digest.Sum(nil)); found != entry.GetSha256() {
		return fmt.Errorf("%s: expected SHA-256 %s, got %s", entry.GetName(), entry.GetSha256(), found)
	}
	return nil
}
