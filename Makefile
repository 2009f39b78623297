# What a developer types. Each check is a step of .ci/run, so that both say the same.

VERSION ?= dev
TARGETS := linux/amd64 linux/arm64 linux/arm/6 darwin/arm64 windows/amd64

.PHONY: help build dev test check race fuzz docs bench soak cross ci

help: ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

build: ## the program, stripped, as bin/uniqverse
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X uniqverse/internal/config.release=$(VERSION)' -o bin/uniqverse .

dev: ## the program on free ports, in a data folder of its own, with all logs
	go run . --data ./data/dev --log text,debug --portal-port 0 --game-port 0 --email-port 0 --chat-port 0 \
		--smtp-port 0 --submission-port 0 --submissions-port 0

test: ## every test
	go test ./...

race: ## the short tests under the race detector (needs gcc)
	CGO_ENABLED=1 go test -race -short -shuffle=on ./...

check: ## what is quick: format, vet, staticcheck, the rules of the house
	.ci/run format vet staticcheck layout

fuzz: ## every fuzz target for a minute
	.ci/fuzz 1m

docs: ## what is generated
	go generate ./...

bench: ## the load programs and what they print (bench/README.md)
	go test -run '^$$' -bench . -benchtime 2s ./bench/...

soak: ## an hour of chat with people who come and go: slopes of memory and goroutines (SOAK=10m for less)
	go run ./bench/fanout -shapes soak -d $(or $(SOAK),1h)

cross: ## the program for every platform, in bin/
	@for t in $(TARGETS); do \
		IFS=/; set -- $$t; unset IFS; \
		out=bin/uniqverse-$$1-$$2$${3:+v$$3}; [ $$1 = windows ] && out=$$out.exe; \
		echo "$$out"; \
		CGO_ENABLED=0 GOOS=$$1 GOARCH=$$2 GOARM=$$3 go build -trimpath -ldflags '-s -w -X uniqverse/internal/config.release=$(VERSION)' -o $$out . || exit 1; \
	done

ci: ## the whole gate
	.ci/run
