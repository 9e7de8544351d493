// Command mongoroot makes MongoDB's root user as the official image does by
// mongosh, which cannot be had here: on 127.0.0.1, before there is any user.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mongoroot:", err)
		os.Exit(1) //nolint:forbidigo // main
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := mongo.Connect(ctx, options.Client().ApplyURI("mongodb://127.0.0.1:27017/?directConnection=true"))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	return client.Database("admin").RunCommand(ctx, bson.D{
		{Key: "createUser", Value: os.Getenv("MONGO_INITDB_ROOT_USERNAME")},
		{Key: "pwd", Value: os.Getenv("MONGO_INITDB_ROOT_PASSWORD")},
		{Key: "roles", Value: bson.A{"root"}},
	}).Err()
}
