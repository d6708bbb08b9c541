// Command clientfaults shows what a client does in trouble that its caller can see:
//
//	clientfaults watch ADDRESS JOB_ID HEARTBEAT   how often a handler that fails is called, and what WatchJob returns
//	clientfaults download URL SIZE SHA256 PATH    the first SIZE bytes; prints "saved", or "refused: " and why
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sonichaos "sonichaos.ai/client"
	jobsv1 "sonichaos.ai/client/gen/sonichaos/jobs/v1"
)

func main() {
	var err error
	if os.Args[1] == "watch" {
		err = watch(os.Args[2], os.Args[3], os.Args[4])
	} else {
		err = download(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func watch(address, jobID, heartbeat string) error {
	seconds, err := strconv.ParseUint(heartbeat, 10, 32)
	if err != nil {
		return err
	}
	connection, err := sonichaos.Dial(address, sonichaos.Credentials{})
	if err != nil {
		return err
	}
	defer connection.Close()
	calls := 0
	own := status.Error(codes.Unavailable, "of the handler")
	jobs := jobsv1.NewJobsServiceClient(connection)
	ended := sonichaos.WatchJob(context.Background(), jobs, jobID, sonichaos.WatchOptions{HeartbeatSeconds: uint32(seconds)},
		func(*jobsv1.JobEvent, context.CancelFunc) error {
			calls++
			return own
		})
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"calls": calls, "error": status.Convert(ended).Message()})
}

func download(url, size, sha256, path string) error {
	sizeBytes, err := strconv.ParseUint(size, 10, 64)
	if err != nil {
		return err
	}
	entry := &jobsv1.ZipEntry{Name: "vocals.wav", SizeBytes: sizeBytes, Sha256: sha256}
	if err := sonichaos.DownloadEntry(context.Background(), url, entry, path, nil); err != nil {
		fmt.Println("refused:", err)
	} else {
		fmt.Println("saved")
	}
	return nil
}
