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
