#include "gateway/facts/library.h"

#include <string.h>

const struct task tasks[] = {
	{ "text-classification", "Text Classification", "nlp" },
	{ "token-classification", "Token Classification", "nlp" },
	{ "table-question-answering", "Table Question Answering", "nlp" },
	{ "question-answering", "Question Answering", "nlp" },
	{ "zero-shot-classification", "Zero-Shot Classification", "nlp" },
	{ "translation", "Translation", "nlp" },
	{ "summarization", "Summarization", "nlp" },
	{ "feature-extraction", "Feature Extraction", "nlp" },
	{ "text-generation", "Text Generation", "nlp" },
	{ "fill-mask", "Fill-Mask", "nlp" },
	{ "sentence-similarity", "Sentence Similarity", "nlp" },
	{ "text-ranking", "Text Ranking", "nlp" },
	{ "text-to-speech", "Text-to-Speech", "audio" },
	{ "text-to-audio", "Text-to-Audio", "audio" },
	{ "automatic-speech-recognition", "Automatic Speech Recognition", "audio" },
	{ "audio-to-audio", "Audio-to-Audio", "audio" },
	{ "audio-classification", "Audio Classification", "audio" },
	{ "voice-activity-detection", "Voice Activity Detection", "audio" },
	{ "audio-text-to-text", "Audio-Text-to-Text", "multimodal" },
	{ "image-text-to-text", "Image-Text-to-Text", "multimodal" },
	{ "visual-question-answering", "Visual Question Answering", "multimodal" },
	{ "document-question-answering", "Document Question Answering", "multimodal" },
	{ "video-text-to-text", "Video-Text-to-Text", "multimodal" },
	{ "visual-document-retrieval", "Visual Document Retrieval", "multimodal" },
	{ "any-to-any", "Any-to-Any", "multimodal" },
	{ "depth-estimation", "Depth Estimation", "cv" },
	{ "image-classification", "Image Classification", "cv" },
	{ "object-detection", "Object Detection", "cv" },
	{ "image-segmentation", "Image Segmentation", "cv" },
	{ "text-to-image", "Text-to-Image", "cv" },
	{ "image-to-text", "Image-to-Text", "cv" },
	{ "image-to-image", "Image-to-Image", "cv" },
	{ "image-to-video", "Image-to-Video", "cv" },
	{ "unconditional-image-generation", "Unconditional Image Generation", "cv" },
	{ "video-classification", "Video Classification", "cv" },
	{ "text-to-video", "Text-to-Video", "cv" },
	{ "zero-shot-image-classification", "Zero-Shot Image Classification", "cv" },
	{ "mask-generation", "Mask Generation", "cv" },
	{ "zero-shot-object-detection", "Zero-Shot Object Detection", "cv" },
	{ "text-to-3d", "Text-to-3D", "cv" },
	{ "image-to-3d", "Image-to-3D", "cv" },
	{ "image-feature-extraction", "Image Feature Extraction", "cv" },
	{ "keypoint-detection", "Keypoint Detection", "cv" },
	{ "video-to-video", "Video-to-Video", "cv" },
	{ "tabular-classification", "Tabular Classification", "tabular" },
	{ "tabular-regression", "Tabular Regression", "tabular" },
	{ "time-series-forecasting", "Time Series Forecasting", "tabular" },
	{ "reinforcement-learning", "Reinforcement Learning", "rl" },
	{ "robotics", "Robotics", "rl" },
	{ "graph-ml", "Graph Machine Learning", "other" },
	{ NULL, NULL, NULL },
};

/* By the ending of an architecture's class name; the first that fits counts. */
static const struct {
	const char *ending, *auto_model, *pipeline_tag, *processor;
} architectures[] = {
	{ "ForCausalLM", "AutoModelForCausalLM", "text-generation", "AutoTokenizer" },
	{ "LMHeadModel", "AutoModelForCausalLM", "text-generation", "AutoTokenizer" },
	{ "ForMaskedLM", "AutoModelForMaskedLM", "fill-mask", "AutoTokenizer" },
	{ "ForImageSequenceClassification", "AutoModelForImageClassification", "image-classification", "AutoImageProcessor" },
	{ "ForAudioClassification", "AutoModelForAudioClassification", "audio-classification", "AutoProcessor" },
	{ "ForSequenceClassification", "AutoModelForSequenceClassification", "text-classification", "AutoTokenizer" },
	{ "ForTokenClassification", "AutoModelForTokenClassification", "token-classification", "AutoTokenizer" },
	{ "ForTableQuestionAnswering", "AutoModelForTableQuestionAnswering", "table-question-answering", "AutoTokenizer" },
	{ "ForVisualQuestionAnswering", "AutoModelForVisualQuestionAnswering", "visual-question-answering", "AutoProcessor" },
	{ "ForDocumentQuestionAnswering", "AutoModelForDocumentQuestionAnswering", "document-question-answering", "AutoProcessor" },
	{ "ForQuestionAnswering", "AutoModelForQuestionAnswering", "question-answering", "AutoTokenizer" },
	{ "ForMultipleChoice", "AutoModelForMultipleChoice", "multiple-choice", "AutoTokenizer" },
	{ "ForSpeechSeq2Seq", "AutoModelForSpeechSeq2Seq", "automatic-speech-recognition", "AutoProcessor" },
	{ "ForCTC", "AutoModelForCTC", "automatic-speech-recognition", "AutoProcessor" },
	{ "ForTextToWaveform", "AutoModelForTextToWaveform", "text-to-audio", "AutoProcessor" },
	{ "ForTextToSpeech", "AutoModelForTextToSpectrogram", "text-to-speech", "AutoProcessor" },
	{ "ForZeroShotObjectDetection", "AutoModelForZeroShotObjectDetection", "zero-shot-object-detection", "AutoProcessor" },
	{ "ForImageClassification", "AutoModelForImageClassification", "image-classification", "AutoImageProcessor" },
	{ "ForVideoClassification", "AutoModelForVideoClassification", "video-classification", "AutoImageProcessor" },
	{ "ForObjectDetection", "AutoModelForObjectDetection", "object-detection", "AutoImageProcessor" },
	{ "ForSemanticSegmentation", "AutoModelForSemanticSegmentation", "image-segmentation", "AutoImageProcessor" },
	{ "ForInstanceSegmentation", "AutoModelForInstanceSegmentation", "image-segmentation", "AutoImageProcessor" },
	{ "ForUniversalSegmentation", "AutoModelForUniversalSegmentation", "image-segmentation", "AutoImageProcessor" },
	{ "ForImageSegmentation", "AutoModelForImageSegmentation", "image-segmentation", "AutoImageProcessor" },
	{ "ForDepthEstimation", "AutoModelForDepthEstimation", "depth-estimation", "AutoImageProcessor" },
	{ "ForKeypointDetection", "AutoModelForKeypointDetection", "keypoint-detection", "AutoImageProcessor" },
	{ "ForMaskGeneration", "AutoModelForMaskGeneration", "mask-generation", "AutoProcessor" },
	{ "ForPreTraining", "AutoModelForPreTraining", NULL, "AutoTokenizer" },
	{ "ForMTP", "AutoModel", "feature-extraction", "AutoTokenizer" },
};

/* Conditional generation is from speech, pictures or text to text: the kind of model tells. */
static const struct {
	const char *model_type, *auto_model, *pipeline_tag, *processor;
} conditional[] = {
	{ "whisper", "AutoModelForSpeechSeq2Seq", "automatic-speech-recognition", "AutoProcessor" },
	{ "speech_to_text", "AutoModelForSpeechSeq2Seq", "automatic-speech-recognition", "AutoProcessor" },
	{ "moonshine", "AutoModelForSpeechSeq2Seq", "automatic-speech-recognition", "AutoProcessor" },
	{ "t5", "AutoModelForSeq2SeqLM", "text2text-generation", "AutoTokenizer" },
	{ "mt5", "AutoModelForSeq2SeqLM", "text2text-generation", "AutoTokenizer" },
	{ "umt5", "AutoModelForSeq2SeqLM", "text2text-generation", "AutoTokenizer" },
	{ "longt5", "AutoModelForSeq2SeqLM", "text2text-generation", "AutoTokenizer" },
	{ "switch_transformers", "AutoModelForSeq2SeqLM", "text2text-generation", "AutoTokenizer" },
	{ "bart", "AutoModelForSeq2SeqLM", "text2text-generation", "AutoTokenizer" },
	{ "mbart", "AutoModelForSeq2SeqLM", "text2text-generation", "AutoTokenizer" },
	{ "pegasus", "AutoModelForSeq2SeqLM", "text2text-generation", "AutoTokenizer" },
	{ "led", "AutoModelForSeq2SeqLM", "text2text-generation", "AutoTokenizer" },
	{ "m2m_100", "AutoModelForSeq2SeqLM", "text2text-generation", "AutoTokenizer" },
	{ "blenderbot", "AutoModelForSeq2SeqLM", "text2text-generation", "AutoTokenizer" },
	{ "musicgen", "AutoModelForTextToWaveform", "text-to-audio", "AutoProcessor" },
};

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static const char *architecture_of(const json_t *config)
{
	return json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
}

static bool ends_with(const char *text, const char *tail)
{
	size_t length = strlen(text), tail_length = strlen(tail);
	return length >= tail_length && strcmp(text + length - tail_length, tail) == 0;
}

static const char *library_from_files(const struct facts_inputs *inputs)
{
	const struct facts_files *files = inputs->files;
	if (files->has[FILE_SETFIT_CONFIG])
		return "setfit";
	if (files->has[FILE_SENTENCE_CONFIG] || files->has[FILE_SENTENCE_MODULES])
		return "sentence-transformers";
	if (files->has[FILE_ADAPTER_CONFIG] && text_of(inputs->adapter, "peft_type"))
		return "peft";
	if (files->has[FILE_MODEL_INDEX] && text_of(inputs->model_index, "_class_name"))
		return "diffusers";
	if (text_of(inputs->config, "_diffusers_version"))
		return "diffusers";
	if (files->has[FILE_OPEN_CLIP_CONFIG])
		return "open_clip";
	if (text_of(inputs->config, "model_type"))
		return "transformers";
	if (text_of(inputs->config, "architecture") && json_object_get(inputs->config, "pretrained_cfg"))
		return "timm";
	if (files->has[FILE_SPACY_META])
		return "spacy";
	if (files->has[FILE_FASTAI_LEARNER])
		return "fastai";
	if (files->kinds & KIND_NEMO)
		return "nemo";
	if (files->has[FILE_SAVED_MODEL] || (files->kinds & KIND_KERAS))
		return files->has[FILE_KERAS_METADATA] || (files->kinds & KIND_KERAS) ? "keras" : "tf-keras";
	return NULL;
}

const char *facts_library(const struct facts_inputs *inputs)
{
	const char *said = text_of(inputs->card, "library_name");
	return said && *said ? said : inputs->type == REPO_MODEL ? library_from_files(inputs) : NULL;
}

struct loading {
	const char *auto_model, *pipeline_tag, *processor;
};

static bool has_pictures(const struct facts_inputs *inputs)
{
	return json_object_get(inputs->config, "vision_config") != NULL;
}

static struct loading loading_of_conditional(const struct facts_inputs *inputs)
{
	const char *model_type = text_of(inputs->config, "model_type");
	for (size_t i = 0; model_type && i < sizeof(conditional) / sizeof(conditional[0]); i++)
		if (strcmp(conditional[i].model_type, model_type) == 0)
			return (struct loading){ conditional[i].auto_model, conditional[i].pipeline_tag, conditional[i].processor };
	if (has_pictures(inputs))
		return (struct loading){ "AutoModelForImageTextToText", "image-text-to-text", "AutoProcessor" };
	if (json_object_get(inputs->config, "audio_config"))
		return (struct loading){ "AutoModelForSeq2SeqLM", "audio-text-to-text", "AutoProcessor" };
	return (struct loading){ "AutoModelForSeq2SeqLM", "text2text-generation", "AutoTokenizer" };
}

static struct loading loading_of(const struct facts_inputs *inputs)
{
	const char *architecture = architecture_of(inputs->config);
	if (!architecture || !text_of(inputs->config, "model_type"))
		return (struct loading){ 0 };
	if (ends_with(architecture, "ForConditionalGeneration"))
		return loading_of_conditional(inputs);
	for (size_t i = 0; i < sizeof(architectures) / sizeof(architectures[0]); i++) {
		if (!ends_with(architecture, architectures[i].ending))
			continue;
		if (has_pictures(inputs) && ends_with(architecture, "ForCausalLM"))
			return (struct loading){ "AutoModelForImageTextToText", "image-text-to-text", "AutoProcessor" };
		return (struct loading){ architectures[i].auto_model, architectures[i].pipeline_tag, architectures[i].processor };
	}
	if (!ends_with(architecture, "Model"))
		return (struct loading){ 0 };
	const struct facts_files *files = inputs->files;
	bool pictures = files->has[FILE_PREPROCESSOR_CONFIG] && !files->has[FILE_TOKENIZER_CONFIG];
	return (struct loading){ "AutoModel", pictures ? "image-feature-extraction" : "feature-extraction", pictures ? "AutoImageProcessor" : "AutoTokenizer" };
}

static const char *pipeline_of_diffusers(const struct facts_inputs *inputs)
{
	const char *class = text_of(inputs->model_index, "_class_name");
	if (!class)
		return NULL;
	if (strstr(class, "Img2Img") || strstr(class, "ImageToImage") || strstr(class, "Inpaint") || strstr(class, "Upscale"))
		return "image-to-image";
	if (strstr(class, "ImageToVideo"))
		return "image-to-video";
	if (strstr(class, "Video"))
		return "text-to-video";
	if (strstr(class, "Audio") || strstr(class, "Music"))
		return "text-to-audio";
	if (strstr(class, "DDPM") || strstr(class, "DDIM") || strstr(class, "ScoreSde"))
		return "unconditional-image-generation";
	return "text-to-image";
}

const char *facts_pipeline_tag(const struct facts_inputs *inputs, const char *library)
{
	const char *said = text_of(inputs->card, "pipeline_tag");
	if (said && *said)
		return said;
	if (inputs->type != REPO_MODEL || !library)
		return NULL;
	if (strcmp(library, "transformers") == 0)
		return loading_of(inputs).pipeline_tag;
	if (strcmp(library, "diffusers") == 0)
		return pipeline_of_diffusers(inputs);
	if (strcmp(library, "sentence-transformers") == 0)
		return "sentence-similarity";
	if (strcmp(library, "setfit") == 0)
		return "text-classification";
	if (strcmp(library, "timm") == 0)
		return "image-classification";
	if (strcmp(library, "open_clip") == 0)
		return "zero-shot-image-classification";
	if (strcmp(library, "spacy") == 0)
		return "token-classification";
	if (strcmp(library, "stable-baselines3") == 0 || strcmp(library, "ml-agents") == 0)
		return "reinforcement-learning";
	return NULL;
}

json_t *facts_transformers_info(const struct facts_inputs *inputs, const char *library)
{
	struct loading loading = loading_of(inputs);
	if (!library || strcmp(library, "transformers") != 0 || !loading.auto_model)
		return NULL;
	json_t *info = json_object();
	json_object_set_new(info, "auto_model", json_string(loading.auto_model));
	const char *custom = text_of(json_object_get(inputs->config, "auto_map"), loading.auto_model);
	if (custom)
		json_object_set_new(info, "custom_class", json_string(custom));
	if (loading.pipeline_tag)
		json_object_set_new(info, "pipeline_tag", json_string(loading.pipeline_tag));
	if (loading.processor)
		json_object_set_new(info, "processor", json_string(loading.processor));
	return info;
}

static void add_apps(json_t *apps, const char *const *names)
{
	for (; *names; names++)
		json_array_append_new(apps, json_string(*names));
}

json_t *facts_apps(const struct facts_inputs *inputs, const char *library, const char *pipeline_tag)
{
	static const char *const gguf[] = { "llama.cpp", "lmstudio", "jan", "ollama", "backyard", "jellybox", "msty", "recursechat", "sanctum",
		"unsloth", "node-llama-cpp", "docker-model-runner", "lemonade", NULL };
	static const char *const served[] = { "vllm", "sglang", "docker-model-runner", NULL };
	static const char *const mlx[] = { "mlx-lm", "lmstudio", NULL };
	static const char *const drawn[] = { "drawthings", "diffusionbee", "joyfusion", "invoke", NULL };
	json_t *apps = json_array();
	bool generates = pipeline_tag && (strcmp(pipeline_tag, "text-generation") == 0 || strcmp(pipeline_tag, "image-text-to-text") == 0);
	if (inputs->files->kinds & KIND_GGUF)
		add_apps(apps, gguf);
	if (library && strcmp(library, "transformers") == 0 && generates && (inputs->files->kinds & (KIND_SAFETENSORS | KIND_PYTORCH)))
		add_apps(apps, served);
	if (library && strcmp(library, "mlx") == 0)
		add_apps(apps, mlx);
	if (pipeline_tag && strcmp(pipeline_tag, "text-to-image") == 0)
		add_apps(apps, drawn);
	if (json_array_size(apps) > 0)
		return apps;
	json_decref(apps);
	return NULL;
}
