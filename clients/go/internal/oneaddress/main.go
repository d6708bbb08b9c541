// Command oneaddress prints what a client reads through one address that serves both services, as one JSON object:
//
//	oneaddress ADDRESS TAKE_ID UPLOAD_ID
//
// The upload's job has ended.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	sonichaos "sonichaos.ai/client"
	jobsv1 "sonichaos.ai/client/gen/sonichaos/jobs/v1"
)

func main() {
	facts, err := read(context.Background(), os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(facts); err != nil {
		log.Fatal(err)
	}
}

func read(ctx context.Context, address, takeID, uploadID string) (map[string]any, error) {
	facts := map[string]any{}
	for _, one := range []struct {
		name, jobID string
		service     sonichaos.Service
	}{{"take", takeID, sonichaos.Render}, {"upload", uploadID, sonichaos.Separation}} {
		connection, err := sonichaos.Dial(address, sonichaos.Credentials{}, sonichaos.ForService(one.service)...)
		if err != nil {
			return nil, err
		}
		defer connection.Close()
		jobs := jobsv1.NewJobsServiceClient(connection)
		response, err := jobs.GetJob(ctx, &jobsv1.GetJobRequest{JobId: one.jobID})
		if err != nil {
			return nil, err
		}
		facts[one.name] = response.GetJob().GetJobId()
		events := 0
		count := func(*jobsv1.JobEvent, context.CancelFunc) error {
			events++
			return nil
		}
		if one.service == sonichaos.Separation {
			if err := sonichaos.WatchJob(ctx, jobs, one.jobID, sonichaos.WatchOptions{}, count); err != nil {
				return nil, err
			}
			facts["events"] = events
		}
	}
	return facts, nil
}
