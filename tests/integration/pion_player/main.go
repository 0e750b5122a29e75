// A WHEP player made of pion: plays until so many packets of video have come, five times over, and prints for each try
// how many milliseconds passed from the offer's POST to the answer, the connection and the first packet, as JSON lines.
//
//	pion_player <WHEP URL> <tries> <packets>
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/pion/webrtc/v4"
)

type try struct {
	Answer    float64 `json:"answer_ms"`
	Connected float64 `json:"connected_ms"`
	First     float64 `json:"first_packet_ms"`
	Codec     string  `json:"codec"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func play(whep string, packets int) try {
	peer, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	check(err)
	defer peer.Close()
	receive := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
	for range 2 { // one is answered, and pion reads the other's rejection too
		_, err = peer.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, receive)
		check(err)
	}
	var result try
	var asked time.Time
	since := func() float64 { return float64(time.Since(asked).Microseconds()) / 1000 }
	connected, played := make(chan float64, 1), make(chan struct{})
	peer.OnICEConnectionStateChange(func(state webrtc.ICEConnectionState) {
		if state == webrtc.ICEConnectionStateConnected {
			connected <- since()
		}
	})
	peer.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for count := 0; count < packets; count++ {
			_, _, err := track.ReadRTP()
			check(err)
			if count == 0 {
				result.First, result.Codec = since(), track.Codec().MimeType
			}
		}
		close(played)
	})
	offer, err := peer.CreateOffer(nil)
	check(err)
	gathered := webrtc.GatheringCompletePromise(peer)
	check(peer.SetLocalDescription(offer))
	<-gathered
	asked = time.Now()
	response, err := http.Post(whep, "application/sdp", bytes.NewBufferString(peer.LocalDescription().SDP))
	check(err)
	body, err := io.ReadAll(response.Body)
	check(err)
	if response.StatusCode != http.StatusCreated {
		check(fmt.Errorf("%s: %s", response.Status, body))
	}
	result.Answer = since()
	check(peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(body)}))
	<-played
	result.Connected = <-connected
	base, err := url.Parse(whep)
	check(err)
	session, err := base.Parse(response.Header.Get("Location"))
	check(err)
	goodbye, err := http.NewRequest(http.MethodDelete, session.String(), nil)
	check(err)
	_, err = http.DefaultClient.Do(goodbye)
	check(err)
	return result
}

func main() {
	tries, err := strconv.Atoi(os.Args[2])
	check(err)
	packets, err := strconv.Atoi(os.Args[3])
	check(err)
	for range tries {
		check(json.NewEncoder(os.Stdout).Encode(play(os.Args[1], packets)))
	}
}
