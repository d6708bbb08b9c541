// Command wholeflow renders a take, follows it through a cut connection, downloads the vocals out of the ZIP, renders them again, and
// downloads those:
//
//	go run ./examples/wholeflow --address 127.0.0.1:50071 --seconds 8 --out out
//
// Progress goes to stdout; its last line is one JSON object.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	sonichaos "sonichaos.ai/client"
	jobsv1 "sonichaos.ai/client/gen/sonichaos/jobs/v1"
	renderv1 "sonichaos.ai/client/gen/sonichaos/render/v1"
)

const (
	cutAfter = 3
	seed     = 7
)

// An id of a server becomes part of a path here, so its form is checked.
var idForm = regexp.MustCompile(`^j-[0-9a-z]{26}$`)

type options struct {
	address, ca, apiKeyFile, prompt, persona, out string
	seconds                                       float64
}

type result struct {
	JobID        string   `json:"jobId"`
	Versions     []uint32 `json:"versions"`
	Stem         string   `json:"stem"`
	StemSHA256   string   `json:"stemSha256"`
	Events       uint64   `json:"events"`
	ResumedAfter uint64   `json:"resumedAfter"`
}

func main() {
	var own options
	flag.StringVar(&own.address, "address", "127.0.0.1:50071", "render_service: https://host:port, host:port or unix:///path")
	flag.String("separation-address", "", "separation_service; only uploads need it")
	flag.StringVar(&own.ca, "ca", "", "PEM file of the authority that signed the services' certificates")
	flag.StringVar(&own.apiKeyFile, "api-key-file", "", "file with the API key")
	flag.StringVar(&own.prompt, "prompt", "slow dusty boom bap with a warm bass", "what to render")
	flag.StringVar(&own.persona, "persona", "", "id of the persona; default: the first one")
	flag.Float64Var(&own.seconds, "seconds", 8, "length of the take")
	flag.StringVar(&own.out, "out", "", "folder for the stem")
	flag.Parse()
	if err := run(context.Background(), own); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, own options) error {
	if own.out == "" {
		return errors.New("--out DIR is required")
	}
	credentials, err := readCredentials(own)
	if err != nil {
		return err
	}
	connection, err := sonichaos.Dial(own.address, credentials)
	if err != nil {
		return err
	}
	defer connection.Close()
	renders, jobs := renderv1.NewRenderServiceClient(connection), jobsv1.NewJobsServiceClient(connection)

	jobID, err := createRender(ctx, renders, own)
	if err != nil {
		return err
	}
	fmt.Println("job", jobID)

	// The stream is cut once on purpose. Sequence numbers have no gaps, so a lost or repeated event would show.
	var events, resumedAfter uint64
	watch := sonichaos.WatchOptions{Version: 1, OnDisconnect: func(after uint64, err error) {
		if resumedAfter == 0 {
			resumedAfter = after
		}
		fmt.Printf("disconnected after event %d (%s), watching on\n", after, status.Convert(err).Message())
	}}
	onEvent := func(event *jobsv1.JobEvent, cut context.CancelFunc) error {
		if events++; event.GetSequence() != events {
			return fmt.Errorf("expected event %d, got %d", events, event.GetSequence())
		}
		printEvent(event)
		if events == cutAfter {
			cut()
		}
		return nil
	}
	if err := sonichaos.WatchJob(ctx, jobs, jobID, watch, onEvent); err != nil {
		return err
	}
	if resumedAfter == 0 {
		return errors.New("expected a disconnect, got none")
	}

	first, err := finishedVersion(ctx, jobs, jobID, 1)
	if err != nil {
		return err
	}
	stemSHA256, err := download(ctx, jobs, jobID, first, "vocals.wav", own.out, credentials.CA)
	if err != nil {
		return err
	}

	again, err := renders.RerenderStem(ctx, &renderv1.RerenderStemRequest{
		RequestId: jobID + "-vocals", JobId: jobID, BaseVersion: 1, Stem: jobsv1.Stem_STEM_VOCALS, Seed: proto.Uint32(seed + 1),
		AllowDrift: true, // an example keeps the stem even if its timing exceeds the limits
	})
	if err != nil {
		return err
	}
	watch.Version, watch.AfterSequence = again.GetVersion(), events
	if err := sonichaos.WatchJob(ctx, jobs, jobID, watch, onEvent); err != nil {
		return err
	}
	second, err := finishedVersion(ctx, jobs, jobID, again.GetVersion())
	if err != nil {
		return err
	}
	if _, err := download(ctx, jobs, jobID, second, "vocals.wav", own.out, credentials.CA); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result{
		JobID: jobID, Versions: []uint32{1, again.GetVersion()}, Stem: "vocals", StemSHA256: stemSHA256,
		Events: events, ResumedAfter: resumedAfter,
	})
}

func readCredentials(own options) (sonichaos.Credentials, error) {
	var credentials sonichaos.Credentials
	if own.ca != "" {
		pem, err := os.ReadFile(own.ca)
		if err != nil {
			return credentials, err
		}
		credentials.CA = pem
	}
	if own.apiKeyFile != "" {
		key, err := os.ReadFile(own.apiKeyFile)
		if err != nil {
			return credentials, err
		}
		credentials.APIKey = strings.TrimSpace(string(key))
	}
	return credentials, nil
}

// createRender creates the job and repeats the call. The same request id returns the same job: a retry creates nothing twice.
func createRender(ctx context.Context, renders renderv1.RenderServiceClient, own options) (string, error) {
	if own.persona == "" {
		listed, err := renders.ListPersonas(ctx, &renderv1.ListPersonasRequest{})
		if err != nil {
			return "", err
		}
		if len(listed.GetPersonas()) == 0 {
			return "", errors.New("the service has no personas")
		}
		own.persona = listed.GetPersonas()[0].GetId()
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", err
	}
	request := &renderv1.CreateRenderRequest{
		RequestId: hex.EncodeToString(id[:]),
		Brief: &jobsv1.Brief{
			Prompt: own.prompt, PersonaId: own.persona, Seed: proto.Uint32(seed), Seconds: own.seconds, Stems: true,
		},
	}
	created, err := renders.CreateRender(ctx, request)
	if err != nil {
		return "", err
	}
	repeated, err := renders.CreateRender(ctx, request)
	if err != nil {
		return "", err
	}
	if created.GetJob().GetJobId() != repeated.GetJob().GetJobId() {
		return "", errors.New("a retry created another job")
	}
	jobID := created.GetJob().GetJobId()
	if !idForm.MatchString(jobID) {
		return "", fmt.Errorf("expected an id such as j-..., got %q", jobID)
	}
	return jobID, nil
}

// finishedVersion is the version, which must be done.
func finishedVersion(
	ctx context.Context, jobs jobsv1.JobsServiceClient, jobID string, number uint32,
) (*jobsv1.Version, error) {
	response, err := jobs.GetJob(ctx, &jobsv1.GetJobRequest{JobId: jobID})
	if err != nil {
		return nil, err
	}
	version := response.GetJob().GetVersions()[number-1]
	if version.GetState() != jobsv1.JobState_JOB_STATE_DONE {
		return nil, fmt.Errorf("v%d: expected DONE, got %s: %s", number, version.GetState(), version.GetError().GetMessage())
	}
	fmt.Printf("v%d is done: ZIP with SHA-256 %s\n", number, version.GetFiles().GetZip().GetSha256())
	return version, nil
}

// download saves one stem of the ZIP, by a Range request. It returns the digest, with which the file was compared.
func download(
	ctx context.Context, jobs jobsv1.JobsServiceClient, jobID string, version *jobsv1.Version, name, folder string, ca []byte,
) (string, error) {
	entry, err := entryOf(version, name)
	if err != nil {
		return "", err
	}
	signed, err := jobs.CreateSignedUrl(ctx, &jobsv1.CreateSignedUrlRequest{
		JobId: jobID, Version: version.GetNumber(), Kind: jobsv1.FileKind_FILE_KIND_ZIP,
	})
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(folder, fmt.Sprintf("%s-v%d-%s", jobID, version.GetNumber(), name))
	if err := sonichaos.DownloadEntry(ctx, signed.GetUrl(), entry, path, ca); err != nil {
		return "", err
	}
	fmt.Printf("%s: SHA-256 %s, as stored\n", path, entry.GetSha256())
	return entry.GetSha256(), nil
}

func printEvent(event *jobsv1.JobEvent) {
	if event.GetKind() == jobsv1.EventKind_EVENT_KIND_PROGRESS {
		fmt.Printf("%d v%d %s %.0f %%\n", event.GetSequence(), event.GetVersion(), event.GetStage(), 100*event.GetFraction())
	} else {
		fmt.Printf("%d v%d %s %s\n", event.GetSequence(), event.GetVersion(), event.GetKind(), event.GetState())
	}
}

func entryOf(version *jobsv1.Version, name string) (*jobsv1.ZipEntry, error) {
	for _, entry := range version.GetFiles().GetZipEntries() {
		if entry.GetName() == name {
			return entry, nil
		}
	}
	return nil, fmt.Errorf("the ZIP has no %s", name)
}
