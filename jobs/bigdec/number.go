// Package bigdec computes whole numbers of many millions of digits directly in
// decimal, so that nothing has to be converted in order to write them out, and
// so that the work can be watched and stopped at any time.
//
// math/big would need minutes for F(10⁸): its multiplication is Karatsuba's,
// its conversion into decimal takes several times as long as the computation,
// and neither can be interrupted. Here numbers are limbs of six decimal digits
// that are multiplied by number-theoretic transforms.
package bigdec

import (
	"fmt"
	"io"
	"slices"
	"strconv"
)

const (
	limbDigits = 6
	base       = 1_000_000
)

// Number is a whole number, 0 or more: limbs of six decimal digits, the lowest
// first, none of them a leading zero. Its zero value is 0.
type Number []uint32

// FromUint returns x as a Number.
func FromUint(x uint64) Number {
	var n Number
	for ; x > 0; x /= base {
		n = append(n, uint32(x%base))
	}
	return n
}

func (n Number) trim() Number {
	for len(n) > 0 && n[len(n)-1] == 0 {
		n = n[:len(n)-1]
	}
	return n
}

// Digits is how many decimal digits n has; 1 for 0.
func (n Number) Digits() int {
	if len(n) == 0 {
		return 1
	}
	return (len(n)-1)*limbDigits + len(strconv.Itoa(int(n[len(n)-1])))
}

// String returns n in decimal.
func (n Number) String() string {
	b := make([]byte, 0, n.Digits())
	for i := len(n); i > 0; i-- {
		b = n.appendLimb(b, i-1)
	}
	if len(n) == 0 {
		b = append(b, '0')
	}
	return string(b)
}

// appendLimb appends the digits of a limb: all six, but for the highest limb.
func (n Number) appendLimb(b []byte, i int) []byte {
	if i == len(n)-1 {
		return strconv.AppendUint(b, uint64(n[i]), 10)
	}
	var six [limbDigits]byte
	x := n[i]
	for j := limbDigits - 1; j >= 0; j-- {
		six[j] = byte('0' + x%10)
		x /= 10
	}
	return append(b, six[:]...)
}

// WriteTo writes n in decimal, some ten thousand digits at a time.
func (n Number) WriteTo(w io.Writer) (written int64, err error) {
	if len(n) == 0 {
		k, err := io.WriteString(w, "0")
		return int64(k), err
	}
	b := make([]byte, 0, 10_000*limbDigits)
	for i := len(n) - 1; i >= 0; i-- {
		b = n.appendLimb(b, i)
		if i == 0 || len(b)+limbDigits > cap(b) {
			k, err := w.Write(b)
			written += int64(k)
			if err != nil {
				return written, fmt.Errorf("write number: %w", err)
			}
			b = b[:0]
		}
	}
	return written, nil
}

// Add returns n + x.
func (n Number) Add(x Number) Number {
	if len(n) < len(x) {
		n, x = x, n
	}
	sum := make(Number, len(n), len(n)+1)
	carry := uint32(0)
	for i, limb := range n {
		s := limb + carry
		if i < len(x) {
			s += x[i]
		}
		carry = 0
		if s >= base {
			s, carry = s-base, 1
		}
		sum[i] = s
	}
	if carry > 0 {
		sum = append(sum, carry)
	}
	return sum
}

// subSmall returns n − x, which must not be negative, for an x of one limb.
func (n Number) subSmall(x uint32) Number {
	n = slices.Clone(n)
	for i := 0; x > 0; i++ {
		if n[i] >= x {
			n[i] -= x
			break
		}
		n[i], x = n[i]+base-x, 1
	}
	return n.trim()
}

// mulSmall multiplies n in place by an x below 10¹², and returns it.
func (n Number) mulSmall(x uint64) Number {
	carry := uint64(0)
	for i, limb := range n {
		carry += uint64(limb) * x
		n[i] = uint32(carry % base)
		carry /= base
	}
	for ; carry > 0; carry /= base {
		n = append(n, uint32(carry%base))
	}
	return n.trim()
}
