// Package sonichaos is the Go client of SONICHAOS AI Studio: connections, watching a job across disconnects, checked downloads, and
// the details of errors. The stubs are in gen/.
package sonichaos

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

// Service is the service that a call is for, where one address serves both.
type Service string

const (
	// Render is render_service, which owns takes.
	Render Service = "render"
	// Separation is separation_service, which owns uploads.
	Separation Service = "separation"
)

// Credentials say who calls, and which servers the caller trusts.
type Credentials struct {
	// CA is the PEM of the authority that signed the servers' certificates. Empty: the public authorities.
	CA []byte
	// APIKey is sent with each call. Empty: none.
	APIKey string
}

// Dial opens a connection to https://host:port (TLS), host:port (plain text) or unix:///path. It connects in the background. An API
// key is refused where it would be sent in plain text.
func Dial(address string, own Credentials, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	target := strings.TrimPrefix(address, "https://")
	if target == address {
		if own.APIKey != "" {
			return nil, fmt.Errorf("an API key needs an address https://host:port, got %s", address)
		}
		return grpc.Dial(target, append(options, grpc.WithInsecure())...)
	}
	pool, err := authorities(own.CA)
	if err != nil {
		return nil, err
	}
	secure := credentials.NewTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	options = append(options, grpc.WithTransportCredentials(secure))
	if own.APIKey != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(own.APIKey)))
	}
	return grpc.Dial(target, options...)
}

// ForService are options of Dial for an address that serves both services: each call has the metadata by which a proxy in front of both
// chooses (docker/envoy.yaml). Calls of JobsService need it, because both services serve them.
func ForService(service Service) []grpc.DialOption {
	named := func(ctx context.Context) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "sonichaos-service", string(service))
	}
	unary := func(
		ctx context.Context, method string, request, reply interface{}, connection *grpc.ClientConn, invoke grpc.UnaryInvoker,
		options ...grpc.CallOption,
	) error {
		return invoke(named(ctx), method, request, reply, connection, options...)
	}
	stream := func(
		ctx context.Context, description *grpc.StreamDesc, connection *grpc.ClientConn, method string, open grpc.Streamer,
		options ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		return open(named(ctx), description, connection, method, options...)
	}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(unary), grpc.WithChainStreamInterceptor(stream)}
}

// authorities are those of a PEM; nil, which stands for the public ones, if it is empty.
func authorities(pem []byte) (*x509.CertPool, error) {
	if len(pem) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the CA must be one or more certificates as PEM")
	}
	return pool, nil
}

type bearer string

func (key bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(key)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }
