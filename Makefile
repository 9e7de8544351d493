# Every target that a user or CI needs; `make help` prints them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

help: ## print this
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## get what is missing, build, start everything, and say where to look
	@dev/up

down: ## stop everything in order; the data stays
	@dev/down

status: ## every process, its health and its memory
	@dev/status

logs: ## follow the logs of one process: make logs SERVICE=api-1
	@dev/logs $(SERVICE)

clean: ## stop, and remove all data (asks first; FORCE=1 does not)
	@FORCE=$(FORCE) dev/clean

build: ## build our programs into var/bin
	@dev/build

test: ## every test, as CI runs them: vet, lint, unit, store and end-to-end tests
	@dev/test

test-oracle: ## watches on Elastic's own Watcher and on ours, answers compared
	@dev/with-stack dev/with-oracle go test -count=1 -timeout 15m ./watcher/...

test-kafka: ## shop events and log lines over Kafka, an outage of Elasticsearch included (minutes; not part of make test)
	@BUS=kafka dev/with-stack go test -count=1 ./filebeat ./e2e -run '^(TestOverKafkaNothingIsLostAndNothingIsDouble|TestShopEventsAreCounted|TestCapacitySignals|TestShippingSurvivesAnOutageAndRotation)$$'

test-compose: ## docker-compose.yml, whole, in a Docker daemon of its own, with stand-ins for images (root; docs/docker.md)
	@dev/test-compose

kibana: ## write what Kibana imports anew, from package kibana (a test fails on a difference)
	@go run ./kibana/generate

backup: ## back Elasticsearch, MySQL and MongoDB up while they run, into BACKUP_DIR
	@dev/pharos backup

restore: ## bring a backup back: the latest, or BACKUP=name; FORCE=1 where there is data (it is moved aside)
	@FORCE=$(FORCE) dev/restore $(BACKUP)

upgrade: ## bring a running Pharos to the code that is here, without failing a request
	@dev/upgrade

test-backup: ## back up, restore, upgrade, change secrets: on a stack of their own (minutes; not part of make test)
	@PHAROS_UPKEEP=1 dev/with-stack go test -count=1 -timeout 40m -v ./e2e/upkeep

rotate-secrets: ## new values for secrets: make rotate-secrets NAMES="JWT_KEY REDIS_PASSWORD", or all of them
	@dev/rotate-secrets $(or $(NAMES),--all)

test-kibana: ## what Kibana's panels ask, asked of a stack of its own (minutes; not part of make test)
	@PHAROS_KIBANA=1 dev/with-stack go test -count=1 -timeout 15m -run '^TestKibanasQuestionsHaveAnswers$$' ./e2e

lint: ## vet, golangci-lint, gofmt and shellcheck
	@dev/lint

vuln: ## known vulnerabilities of all modules (NOT RUN, and exit code 69, without Go's database)
	@dev/vuln

sbom: ## what Pharos is made of, with licences: var/sbom.cdx.json (CycloneDX)
	@dev/sbom

fuzz: ## fuzz what parses a stranger's input, FUZZTIME=60s for each
	@dev/fuzz

bench: ## what the goals name, measured on servers of its own: docs/benchmarks.md
	@PHAROS_BENCH=1 dev/with-stack go test -count=1 -timeout 20m -v -run '^TestTable$$' ./bench

bench-console: ## the console's pages over 5,000,000 log lines (about 20 minutes)
	@PHAROS_BENCH=1 dev/with-stack go test -count=1 -timeout 60m -v -run '^TestConsole$$' ./bench

.PHONY: help kibana test-kibana up down status logs clean build test test-oracle test-kafka test-compose test-backup backup restore \
	upgrade rotate-secrets lint vuln sbom fuzz bench bench-console
