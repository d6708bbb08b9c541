#!/usr/bin/env bash
# Makes certificates for development and tests. Use an authority of your own for anything else.
#   docker/make_certificates.sh [FOLDER [HOST...]]     default: docker/certificates, for this machine and the services of compose.yaml
#
#   FOLDER/server/       certificate.pem, key.pem, client-ca.pem: what the services read; only this folder is mounted
#   FOLDER/client/       ca.pem, which callers trust; certificate.pem and key.pem of a caller (CN=developer)
#   FOLDER/authorities/  the two authorities' keys; no container needs them
#
# Another run signs new certificates with the same authorities. Running services read them without a restart.
set -euo pipefail
umask 077
folder=${1:-"$(dirname "$0")/certificates"}
hosts=("${@:2}")
((${#hosts[@]})) || hosts=(localhost 127.0.0.1 ::1 render-service separation-service)
SERVICE_GROUP=10001 # of the images

mkdir -p "$folder"/{authorities,server,client}
draft=$(mktemp -d "$folder/.draft.XXXXXX")
trap 'rm -rf "$draft"' EXIT

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

authority() { # NAME
  local key="$folder/authorities/$1-key.pem" certificate="$folder/authorities/$1.pem"
  [[ -e $certificate ]] && return
  new_key "$draft/$1-key.pem"
  openssl req -new -x509 -sha256 -days 730 -subj "/O=SONICHAOS development/CN=$1 authority" -key "$draft/$1-key.pem" \
    -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign -out "$draft/$1.pem"
  mv "$draft/$1-key.pem" "$key"
  mv "$draft/$1.pem" "$certificate"
}

signed() { # KIND AUTHORITY SUBJECT EXTENSION...: writes the draft of KIND's certificate.pem and key.pem
  new_key "$draft/$1-key.pem"
  openssl req -new -sha256 -subj "$3" -key "$draft/$1-key.pem" -out "$draft/request.pem"
  printf '%s\n' basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature subjectKeyIdentifier=hash \
    authorityKeyIdentifier=keyid "${@:4}" > "$draft/extensions"
  openssl x509 -req -sha256 -days 90 -in "$draft/request.pem" -extfile "$draft/extensions" -out "$draft/$1-certificate.pem" \
    -CA "$folder/authorities/$2.pem" -CAkey "$folder/authorities/$2-key.pem" 2>"$draft/log" || { cat "$draft/log" >&2; exit 1; }
  mv "$draft/$1-key.pem" "$folder/$1/key.pem"
  mv "$draft/$1-certificate.pem" "$folder/$1/certificate.pem"
}

names=()
for host in "${hosts[@]}"; do
  if [[ $host == *:* || $host =~ ^[0-9.]+$ ]]; then names+=("IP:$host"); else names+=("DNS:$host"); fi
done

authority server
authority client
signed server server "/O=SONICHAOS development/CN=${hosts[0]}" "subjectAltName=$(IFS=,; echo "${names[*]}")" extendedKeyUsage=serverAuth
signed client client "/O=SONICHAOS development/CN=developer" extendedKeyUsage=clientAuth
cp "$folder/authorities/server.pem" "$folder/client/ca.pem"
cp "$folder/authorities/client.pem" "$folder/server/client-ca.pem"

# The services' user reads server/ as the owner of the key or, where root owns it, through the group.
chmod 755 "$folder/server"
chmod 644 "$folder/server/certificate.pem" "$folder/server/client-ca.pem"
if [[ $(id -u) == 0 ]]; then
  chgrp "$SERVICE_GROUP" "$folder/server/key.pem"
  chmod 640 "$folder/server/key.pem"
else
  echo "The containers run as user $SERVICE_GROUP: sudo chown $SERVICE_GROUP $folder/server/key.pem"
fi
echo "$folder/server has a certificate for ${hosts[*]}, valid for 90 days. Callers trust $folder/client/ca.pem."
