package mongostore

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
)

// fromJSON converts a JSON object as it is: numbers stay exact, order stays.
// The driver's own conversion is no choice, as it reads names like $oid and
// $date as something else than what was sent.
func fromJSON(text []byte) (bson.D, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	v, err := value(dec)
	if err != nil {
		return nil, err
	}
	doc, ok := v.(bson.D)
	if !ok {
		return nil, errors.New("no JSON object")
	}
	return doc, nil
}

func value(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return object(dec)
		}
		return array(dec)
	case json.Number:
		return number(t), nil
	default: // string, bool, nil
		return t, nil
	}
}

// object reads to the end of an object. Of equal names the last counts, as it
// does where the event is read by its fields.
func object(dec *json.Decoder) (bson.D, error) {
	doc := bson.D{}
	var places map[string]int // of names, for objects of many
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		v, err := value(dec)
		if err != nil {
			return nil, err
		}
		key, _ := name.(string) // the decoder lets nothing else be a name
		if i := place(doc, places, key); i >= 0 {
			doc[i].Value = v
			continue
		}
		doc = append(doc, bson.E{Key: key, Value: v})
		if places == nil && len(doc) > few {
			places = make(map[string]int, 2*few)
			for i, e := range doc {
				places[e.Key] = i
			}
		} else if places != nil {
			places[key] = len(doc) - 1
		}
	}
	_, err := dec.Token()
	return doc, err
}

// few is how many names are faster looked through than looked up.
const few = 16

// place returns where a name stands, -1 for nowhere.
func place(doc bson.D, places map[string]int, name string) int {
	if places != nil {
		if i, ok := places[name]; ok {
			return i
		}
		return -1
	}
	return slices.IndexFunc(doc, func(e bson.E) bool { return e.Key == name })
}

func array(dec *json.Decoder) (bson.A, error) {
	out := bson.A{}
	for dec.More() {
		v, err := value(dec)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := dec.Token()
	return out, err
}

// number keeps what it can: 64-bit integers, then 34 decimal digits, and what
// is larger as it was written.
func number(n json.Number) any {
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		return i
	}
	if d, err := primitive.ParseDecimal128(n.String()); err == nil {
		return d
	}
	return n.String()
}
