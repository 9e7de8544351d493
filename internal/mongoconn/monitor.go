package mongoconn

import (
	"context"

	"go.elastic.co/apm/module/apmmongo/v2"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/event"
)

// Monitor makes a span of each command. Its statement has the command's shape
// and no values: they hold password hashes, tokens and what people write.
func Monitor() *event.CommandMonitor {
	traced := apmmongo.CommandMonitor()
	return &event.CommandMonitor{
		Started: func(ctx context.Context, e *event.CommandStartedEvent) {
			masked := *e
			masked.Command = shape(e.Command)
			traced.Started(ctx, &masked)
		},
		Succeeded: traced.Succeeded,
		Failed:    traced.Failed,
	}
}

// shape keeps a command's name, its collection and the names of its fields. Of an
// array, which may be long, it keeps the first value's shape. What can't be read
// or written has none.
func shape(command bson.Raw) bson.Raw {
	elements, err := command.Elements()
	if err != nil {
		return nil
	}
	var kept bson.D
	for i, e := range elements {
		switch key := e.Key(); {
		case i == 0, key == "$db", key == "collection": // getMore names its collection there
			kept = append(kept, bson.E{Key: key, Value: e.Value()})
		case key == "lsid", key == "$clusterTime", key == "txnNumber", key == "$readPreference":
		default:
			kept = append(kept, bson.E{Key: key, Value: valueless(e.Value())})
		}
	}
	text, err := bson.Marshal(kept)
	if err != nil {
		return nil
	}
	return text
}

func valueless(v bson.RawValue) any {
	if doc, ok := v.DocumentOK(); ok {
		elements, err := doc.Elements()
		if err != nil {
			return "?"
		}
		kept := bson.D{}
		for _, e := range elements {
			kept = append(kept, bson.E{Key: e.Key(), Value: valueless(e.Value())})
		}
		return kept
	}
	if list, ok := v.ArrayOK(); ok {
		values, err := list.Values()
		if err != nil || len(values) == 0 {
			return bson.A{}
		}
		return bson.A{valueless(values[0])}
	}
	return "?"
}
