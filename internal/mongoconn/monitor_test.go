package mongoconn

import (
	"testing"

	"go.mongodb.org/mongo-driver/bson"
)

func TestStatementsHaveNoValues(t *testing.T) {
	for name, c := range map[string]struct {
		command bson.D
		want    string
	}{
		"insert": {
			bson.D{
				{Key: "insert", Value: "users"}, {Key: "ordered", Value: true}, {Key: "lsid", Value: bson.D{{Key: "id", Value: "session"}}},
				{Key: "$clusterTime", Value: bson.D{{Key: "signature", Value: "s"}}}, {Key: "$db", Value: "pharos"},
				{Key: "documents", Value: bson.A{bson.D{{Key: "handle", Value: "ada"}, {Key: "password_hash", Value: "$argon2id$secret"}}, bson.D{{Key: "handle", Value: "bob"}}}},
			},
			`{"insert":"users","ordered":"?","$db":"pharos","documents":[{"handle":"?","password_hash":"?"}]}`,
		},
		"find": {
			bson.D{{Key: "find", Value: "posts"}, {Key: "filter", Value: bson.D{{Key: "author", Value: bson.D{{Key: "$in", Value: bson.A{"a", "b"}}}}}}, {Key: "limit", Value: 20}, {Key: "$db", Value: "pharos"}},
			`{"find":"posts","filter":{"author":{"$in":["?"]}},"limit":"?","$db":"pharos"}`,
		},
		"getMore": {
			bson.D{{Key: "getMore", Value: int64(7)}, {Key: "collection", Value: "posts"}, {Key: "$db", Value: "pharos"}},
			`{"getMore":7,"collection":"posts","$db":"pharos"}`,
		},
	} {
		raw, err := bson.Marshal(c.command)
		if err != nil {
			t.Fatal(err)
		}
		got, err := bson.MarshalExtJSON(shape(raw), false, false)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s %v, want %s", name, got, err, c.want)
		}
	}
	if got := shape(bson.Raw("no command")); got != nil {
		t.Errorf("what is no command has the shape %s", got)
	}
}
