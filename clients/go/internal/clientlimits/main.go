// Command clientlimits prints facts about a client with the default options of its connection, as one JSON object:
//
//	clientlimits ADDRESS JOB_ID KEEPALIVE_SECONDS
//
// The job must not end. With KEEPALIVE_SECONDS above 0 it reports on keepalive only: one connection with a call and one without, for
// so many seconds.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	sonichaos "sonichaos.ai/client"
	jobsv1 "sonichaos.ai/client/gen/sonichaos/jobs/v1"
	renderv1 "sonichaos.ai/client/gen/sonichaos/render/v1"
)

func main() {
	address, jobID := os.Args[1], os.Args[2]
	seconds, err := strconv.Atoi(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	var facts map[string]any
	if seconds > 0 {
		facts, err = keepaliveFacts(address, jobID, time.Duration(seconds)*time.Second)
	} else {
		facts, err = limitFacts(address, jobID)
	}
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(facts); err != nil {
		log.Fatal(err)
	}
}

func limitFacts(address, jobID string) (map[string]any, error) {
	ctx := context.Background()
	connection, err := sonichaos.Dial(address, sonichaos.Credentials{})
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	client := jobsv1.NewJobsServiceClient(connection)

	jobs, pages, token := 0, 0, ""
	for pages == 0 || token != "" {
		page, err := client.ListJobs(ctx, &jobsv1.ListJobsRequest{PageSize: 200, PageToken: token})
		if err != nil {
			return nil, err
		}
		jobs, pages, token = jobs+len(page.GetJobs()), pages+1, page.GetNextPageToken()
	}

	labels := map[string]string{}
	for index := 0; index < 32; index++ {
		labels[fmt.Sprintf("label%d", index)] = strings.Repeat("x", 300)
	}
	_, refused := renderv1.NewRenderServiceClient(connection).CreateRender(ctx, &renderv1.CreateRenderRequest{
		Brief: &jobsv1.Brief{Prompt: "p", PersonaId: "tone", Labels: labels},
	})
	details := sonichaos.DetailsOf(refused)

	watched, events, err := follow(client, jobID, time.Second, math.MaxUint64)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"jobs": jobs, "pages": pages, "refusalCode": status.Code(refused), "refusalReason": details.Reason,
		"namedViolations": len(details.Violations), "violations": details.Metadata["violations"],
		"watchCode": watched, "watchEvents": events,
	}, nil
}

// follow reads the events of a job that goes on until the time is over.
func follow(
	client jobsv1.JobsServiceClient, jobID string, duration time.Duration, after uint64,
) (codes.Code, int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	stream, err := client.WatchJob(ctx, &jobsv1.WatchJobRequest{JobId: jobID, AfterSequence: after})
	if err != nil {
		return codes.OK, 0, err
	}
	for events := 0; ; events++ {
		if _, err := stream.Recv(); err != nil {
			return status.Code(err), events, nil
		}
	}
}

func keepaliveFacts(address, jobID string, window time.Duration) (map[string]any, error) {
	pings := grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, PermitWithoutStream: true})
	idle, err := sonichaos.Dial(address, sonichaos.Credentials{}, pings, grpc.WithBlock())
	if err != nil {
		return nil, err
	}
	defer idle.Close()
	busy, err := sonichaos.Dial(address, sonichaos.Credentials{}, pings)
	if err != nil {
		return nil, err
	}
	defer busy.Close()
	watched, _, err := follow(jobsv1.NewJobsServiceClient(busy), jobID, window, 0)
	if err != nil {
		return nil, err
	}
	return map[string]any{"watchCode": watched, "idleConnected": idle.GetState() == connectivity.Ready}, nil
}
