"""Waves and their spectrograms, as torchaudio.transforms makes them (documentation of torchaudio)."""

from __future__ import annotations

from conv_lint import dims
from conv_lint.dims import Dim
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import CannotTell, Shape, Unknown


@shape_rule(
    "torchaudio.transforms.Spectrogram(n_fft=400, win_length=None, hop_length=None, pad=0, window_fn=None, power=2.0,"
    " normalized=False, wkwargs=None, center=True, pad_mode='reflect', onesided=True, return_complex=None)",
    "torchaudio.transforms.Spectrogram.forward(waveform)",
)
def spectrogram(
    op: Op, waveform: Shape, n_fft: Arg, win_length: Arg, hop_length: Arg, pad: Arg, center: Arg, onesided: Arg
) -> Result:
    """(\\*, L) -> (\\*, N, T): N is n_fft//2 + 1, or n_fft not onesided."""
    if isinstance(onesided, Unknown):
        raise CannotTell("an option of the spectrogram")
    size = op.dim(n_fft)
    waveform = op.trailing(waveform, 1)
    frames = _frames(op, waveform[-1], size, win_length, hop_length, pad, center)
    return (*tuple.__iter__(waveform[:-1]), size if onesided is False else size // 2 + 1, frames)


@shape_rule(
    "torchaudio.transforms.MelSpectrogram(sample_rate=16000, n_fft=400, win_length=None, hop_length=None, f_min=0.0,"
    " f_max=None, pad=0, n_mels=128, window_fn=None, power=2.0, normalized=False, wkwargs=None, center=True,"
    " pad_mode='reflect', onesided=None, norm=None, mel_scale='htk')",
    "torchaudio.transforms.MelSpectrogram.forward(waveform)",
)
def mel_spectrogram(
    op: Op, waveform: Shape, n_fft: Arg, win_length: Arg, hop_length: Arg, pad: Arg, n_mels: Arg, center: Arg
) -> Result:
    """(\\*, L) -> (\\*, n_mels, T)."""
    waveform = op.trailing(waveform, 1)
    frames = _frames(op, waveform[-1], op.dim(n_fft), win_length, hop_length, pad, center)
    return (*tuple.__iter__(waveform[:-1]), op.dim(n_mels), frames)


@shape_rule(
    "torchaudio.transforms.MFCC(sample_rate=16000, n_mfcc=40, dct_type=2, norm='ortho', log_mels=False,"
    " melkwargs=None)",
    "torchaudio.transforms.MFCC.forward(waveform)",
)
def mfcc(op: Op, waveform: Shape, n_mfcc: Arg, melkwargs: Arg) -> Result:
    """(\\*, L) -> (\\*, n_mfcc, T); how many frames there are, ``melkwargs`` may say."""
    waveform = op.trailing(waveform, 1)
    frames = waveform[-1] // 200 + 1 if melkwargs is None else op.unknown(1)
    return (*tuple.__iter__(waveform[:-1]), op.dim(n_mfcc), frames)


@shape_rule(
    "torchaudio.transforms.MelScale(n_mels=128, sample_rate=16000, f_min=0.0, f_max=None, n_stft=201, norm=None,"
    " mel_scale='htk')",
    "torchaudio.transforms.MelScale.forward(specgram)",
)
def mel_scale(op: Op, specgram: Shape, n_mels: Arg) -> Result:
    """(\\*, N, T) -> (\\*, n_mels, T)."""
    specgram = op.trailing(specgram, 2)
    return (*tuple.__iter__(specgram[:-2]), op.dim(n_mels), specgram[-1])


@shape_rule(
    "torchaudio.transforms.Resample(orig_freq=16000, new_freq=16000, resampling_method='sinc_interp_hann',"
    " lowpass_filter_width=6, rolloff=0.99, beta=None, *, dtype=None)",
    "torchaudio.transforms.Resample.forward(waveform)",
)
def resample(op: Op, waveform: Shape, orig_freq: Arg, new_freq: Arg) -> Result:
    """(\\*, L) -> (\\*, L*new_freq/orig_freq), rounded up."""
    before, after = op.dim(orig_freq), op.dim(new_freq)
    if dims.eq(before, after):
        return waveform
    waveform = op.trailing(waveform, 1)
    return (*tuple.__iter__(waveform[:-1]), dims.ceildiv(waveform[-1] * after, before))


@shape_rule(
    "torchaudio.transforms.Vol(gain, gain_type='amplitude')",
    "torchaudio.transforms.Vol.forward(waveform)",
    "torchaudio.transforms.Fade(fade_in_len=0, fade_out_len=0, fade_shape='linear')",
    "torchaudio.transforms.Fade.forward(waveform)",
)
def of_wave(op: Op, waveform: Shape) -> Result:
    """(\\*, L) to the same."""
    return waveform


@shape_rule(
    "torchaudio.transforms.FrequencyMasking(freq_mask_param, iid_masks=False)",
    "torchaudio.transforms.FrequencyMasking.forward(specgram, mask_value=0.0)",
    "torchaudio.transforms.TimeMasking(time_mask_param, iid_masks=False, p=1.0)",
    "torchaudio.transforms.TimeMasking.forward(specgram, mask_value=0.0)",
    "torchaudio.transforms.ComputeDeltas(win_length=5, mode='replicate')",
    "torchaudio.transforms.ComputeDeltas.forward(specgram)",
)
def of_spectrogram(op: Op, specgram: Shape) -> Result:
    """(\\*, N, T) to the same."""
    return specgram


@shape_rule(
    "torchaudio.transforms.AmplitudeToDB(stype='power', top_db=None)",
    "torchaudio.transforms.AmplitudeToDB.forward(x)",
    "torchaudio.transforms.MuLawEncoding(quantization_channels=256)",
    "torchaudio.transforms.MuLawEncoding.forward(x)",
)
def of_each(op: Op, x: Shape) -> Result:
    """(\\*) to the same."""
    return x


def _frames(op: Op, length: Dim, size: Dim, win_length: object, hop_length: object, pad: object, center: object) -> Dim:
    """How many windows of ``size`` there are in a wave, which is padded on both sides unless ``center`` is False."""
    if isinstance(center, Unknown):
        return op.unknown(1)
    window = size if win_length is None else op.dim(win_length)
    hop = window // 2 if hop_length is None else op.dim(hop_length)
    length = length + 2 * op.dim(pad)
    return (length if center else length - size) // hop + 1
